// Lints an OpenAPI document: says on each line of its output what is wrong, and fails when something is.
// Usage: LINTER=<folder with node_modules> node lint.js <document>
"use strict";

const { createRequire } = require("node:module");

const { createConfig, lint } = createRequire(`${process.env.LINTER}/`)("@redocly/openapi-core");

const rules = {
  // Gives a message where an operation neither needs a token nor says that it needs none.
  "security-defined": "error",
  "no-invalid-schema-examples": "error",
  "no-invalid-media-type-examples": "error",
  "no-required-schema-properties-undefined": "error",
  "operation-operationId-unique": "error",
  // A WebSocket's success is 101, which the rule does not know: the next one does.
  "operation-2xx-response": "off",
  "rule/success-is-said": {
    subject: { type: "Responses" },
    assertions: { requireAny: ["101", "200", "201", "202", "204"] },
  },
  // Paths are those that clients of five products have: some of one match a template of another,
  // where the literal wins.
  "no-ambiguous-paths": "off",
  // The first server is this machine, where `cargo mesh up` puts it.
  "no-server-example.com": "off",
};

async function main(document) {
  const config = await createConfig({ extends: ["recommended"], rules });
  const problems = await lint({ ref: document, config });
  for (const { location, message, ruleId } of problems) {
    const place = location.map(({ pointer }) => pointer ?? "").join(", ");
    process.stdout.write(`${ruleId}: ${place}: ${message.trim()}\n`);
  }
  process.exitCode = problems.length > 0 ? 1 : 0;
}

main(process.argv[2]);
