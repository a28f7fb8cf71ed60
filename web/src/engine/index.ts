export * from "./browser";
export * from "./engine";
export { gridOf, stretch } from "./picture";
