// Loads the app's own scripts as they are: a page's module from its text, with names that it does not export besides;
// a plain script in a context of its own. No file of the app is changed for its tests.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const ROOT = new URL("../../streamlit_apps/", import.meta.url);

const read = (path) => readFileSync(new URL(path, ROOT), "utf8");

// Several files are one module, as they are for the browser.
export const load = (paths, ...names) => {
  const text = `${[paths].flat().map(read).join("\n")}\nexport { ${names.join(", ")} };\n`;
  return import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
};

export const run = (path, context) => {
  vm.runInContext(read(path), vm.createContext(context), { filename: path });
  return context;
};
