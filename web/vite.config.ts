import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const page = here("index.html");

// The built files ship inside the Python package, so that nobody needs Node to open the demo.
export default defineConfig({
  base: "./",
  build: {
    outDir: here("../src/gazeheads/demo/static"),
    emptyOutDir: true,
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
  worker: { format: "es" },
});
