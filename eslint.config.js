import js from "@eslint/js";
import tseslint from "typescript-eslint";

const scriptGlobals = {
  process: "readonly",
  console: "readonly",
  URL: "readonly",
  setTimeout: "readonly",
  Buffer: "readonly",
};

export default tseslint.config(
  { ignores: ["dist/", "coverage/", "**/gen/**", "*.config.js", "*.cjs"] },
  js.configs.recommended,
  { files: ["bin/**/*.js", "scripts/**/*.mjs", "examples/**/*.{js,mjs}"], languageOptions: { globals: scriptGlobals } },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/prefer-readonly": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/naming-convention": [
        "error",
        { selector: "interface", format: ["PascalCase"], custom: { regex: "^I[A-Z]", match: false } },
        {
          selector: "class",
          format: ["PascalCase"],
          custom: { regex: "^(Base|Abstract)[A-Z]|(Impl|Manager|Helper|Utils?)$", match: false },
        },
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Use a named export." },
        { selector: "TSEnumDeclaration", message: "Use a union of string literals." },
      ],
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 6],
    },
  },
  { files: ["src/**/*.ts"], ignores: ["src/infrastructure/cli/**"], rules: { "no-console": "error" } },
  // A factory of the container has one parameter for each dependency of what it builds.
  { files: ["src/infrastructure/modules/**"], rules: { "max-params": "off" } },
  { files: ["src/**/*.d.ts"], rules: { "no-restricted-syntax": "off" } },
  {
    files: ["test/**/*.ts"],
    rules: {
      "max-lines-per-function": "off",
      "no-restricted-properties": [
        "error",
        { object: "jest", property: "mock", message: "Inject a fake." },
        { object: "jest", property: "unstable_mockModule", message: "Inject a fake." },
      ],
    },
  },
  {
    files: ["test/unit/**/*.ts"],
    rules: {
      "no-restricted-globals": ["error", { name: "setTimeout", message: "Wait for a fact, or use FakeClock." }],
    },
  },
);
