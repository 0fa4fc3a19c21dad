// ESLint for the scripts that browsers run, and for the tests beside this file. No plugin: only ESLint itself.
// make lint runs it from the root of the project, when npm ci has been run in testing/javascript.

const named = (names) => Object.fromEntries(names.map((name) => [name, "readonly"]));

const browser = named([
  "Blob", "CustomEvent", "Element", "PublicKeyCredential", "ResizeObserver", "SpeechSynthesisUtterance", "URL",
  "WebSocket", "XMLHttpRequest", "atob", "cancelAnimationFrame", "clearInterval", "clearTimeout", "document", "fetch",
  "history", "localStorage", "location", "navigator", "performance", "requestAnimationFrame", "setInterval",
  "setTimeout", "window",
]);
const node = named(["Buffer", "URL", "btoa", "clearTimeout", "performance", "setTimeout"]);

const rules = {
  "array-callback-return": "error",
  "constructor-super": "error",
  "eqeqeq": "error",
  "for-direction": "error",
  "getter-return": "error",
  "no-async-promise-executor": "error",
  "no-class-assign": "error",
  "no-compare-neg-zero": "error",
  "no-const-assign": "error",
  "no-constant-condition": "error",
  "no-dupe-args": "error",
  "no-dupe-class-members": "error",
  "no-dupe-else-if": "error",
  "no-dupe-keys": "error",
  "no-duplicate-case": "error",
  "no-empty": "error",
  "no-eval": "error",
  "no-fallthrough": "error",
  "no-func-assign": "error",
  "no-implied-eval": "error",
  "no-import-assign": "error",
  "no-new-func": "error",
  "no-redeclare": "error",
  "no-self-assign": "error",
  "no-self-compare": "error",
  "no-shadow-restricted-names": "error",
  "no-this-before-super": "error",
  "no-undef": "error",
  "no-unreachable": "error",
  "no-unsafe-finally": "error",
  "no-unsafe-negation": "error",
  "no-unused-vars": ["error", { args: "none", caughtErrors: "none" }],
  "no-var": "error",
  "prefer-const": "error",
  "use-isnan": "error",
  "valid-typeof": "error",
};

const strict = { rules, linterOptions: { reportUnusedDisableDirectives: "error" } };

export default [
  { ...strict, files: ["streamlit_apps/ui/**/*.js"], languageOptions: { globals: browser, sourceType: "module" } },
  { ...strict, files: ["streamlit_apps/gate/assets/*.js"], languageOptions: { globals: browser, sourceType: "script" } },
  { ...strict, files: ["testing/javascript/*.mjs"], languageOptions: { globals: node, sourceType: "module" } },
];
