import { existsSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const page = here("index.html");

// Files of an earlier build go; the model beside them, which the exporter writes, stays.
const cleanAssets: Plugin = {
  name: "clean-assets",
  apply: "build",
  configResolved: ({ root, build }) =>
    rmSync(resolve(root, build.outDir, "assets"), { recursive: true, force: true }),
};

// The built files ship inside the Python package, so that nobody needs Node to open the demo.
export default defineConfig({
  base: "./",
  build: {
    outDir: here("../src/gazeheads/live/static"),
    emptyOutDir: false,
    target: "es2022",
    rolldownOptions: {
      // the engine is an entry of its own: other pages, and the tests, import it by its fixed name
      input: {
        ...(existsSync(page) ? { index: page } : {}),
        engine: here("src/engine/index.ts"),
      },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "assets/[name].js" },
    },
  },
  plugins: [cleanAssets],
  worker: { format: "es" },
});
