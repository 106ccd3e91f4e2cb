// A session over the real protocol client of VS Code's own tests: `node --test editors/vscode/test`.
const assert = require("node:assert");
const { mkdtempSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { test, beforeEach, afterEach } = require("node:test");
const { DebugClient } = require("@vscode/debugadapter-testsupport");

const SOURCE = `def double(n):
    m = n * 2
    return m


def total(xs):
    t = 0
    for x in xs:
        t += double(x)
    return t


result = total([1, 2, 3])
try:
    raise ValueError(result)
except ValueError:
    result = 0
`;

const folder = mkdtempSync(path.join(tmpdir(), "cwm-trace-"));
const program = path.join(folder, "p.py");
writeFileSync(program, SOURCE);

let client;

beforeEach(async () => {
  client = new DebugClient("node", path.join(__dirname, "adapter.js"), "cwm-trace");
  client.defaultTimeout = 120000;
  await client.start();
});

afterEach(() => client.stop());

async function begin(breakpoints = [], options = {}) {
  const initialized = client.waitForEvent("initialized");
  await client.initializeRequest();
  const launched = client.launchRequest({ program, model: "copy", ...options });
  await Promise.all([initialized, launched]);
  const answer = await client.setBreakpointsRequest({ source: { path: program }, breakpoints });
  const stopped = client.waitForEvent("stopped");
  await client.configurationDoneRequest();
  assert.equal((await stopped).body.reason, "entry");
  return answer.body.breakpoints;
}

async function stop(request) {
  const stopped = client.waitForEvent("stopped");
  await request;
  return (await stopped).body;
}

async function at(threadId = 1) {
  return (await client.stackTraceRequest({ threadId })).body.stackFrames[0];
}

async function scope(name, threadId = 1) {
  const { scopes } = (await client.scopesRequest({ frameId: (await at(threadId)).id })).body;
  const found = scopes.find((each) => each.name === name);
  const { variables } = (await client.variablesRequest({ variablesReference: found.variablesReference })).body;
  return { reference: found.variablesReference, values: Object.fromEntries(variables.map((v) => [v.name, v.value])) };
}

const go = () => stop(client.continueRequest({ threadId: 1 }));

test("a conditional breakpoint", async () => {
  const [breakpoint] = await begin([{ line: 9, condition: "x == 2" }]);
  assert.ok(breakpoint.verified);
  assert.equal((await go()).reason, "breakpoint");
  assert.deepEqual((await scope("Locals")).values, { xs: "[1, 2, 3]", t: "2", x: "2" });
});

test("a hit count", async () => {
  await begin([{ line: 2, hitCondition: "3" }]);
  await go();
  assert.equal((await scope("Locals")).values.n, "3");
});

test("a log point", async () => {
  await begin([{ line: 9, logMessage: "t is {t}" }, { line: 10 }]);
  const said = client.waitForEvent("output");
  await go();
  assert.equal((await said).body.output, "t is 0\n");
  assert.equal((await at()).line, 10);
});

test("a data breakpoint", async () => {
  await begin([{ line: 8 }]);
  await go();
  const { reference } = await scope("Locals");
  const info = (await client.dataBreakpointInfoRequest({ variablesReference: reference, name: "t" })).body;
  await client.setBreakpointsRequest({ source: { path: program }, breakpoints: [] });
  await client.setDataBreakpointsRequest({ breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
  assert.equal((await go()).reason, "data breakpoint");
  assert.equal((await scope("Locals")).values.t, "2");
  await go();
  assert.equal((await stop(client.reverseContinueRequest({ threadId: 1 }))).reason, "data breakpoint");
  assert.equal((await scope("Locals")).values.t, "2");
});

test("back over calls, and back to the stop before", async () => {
  await begin([{ line: 9 }]);
  await go();
  await stop(client.nextRequest({ threadId: 1 }));
  assert.equal((await at()).line, 8);
  await stop(client.stepBackRequest({ threadId: 1 }));
  assert.equal((await at()).line, 9);
  await stop(client.stepInRequest({ threadId: 1 }));
  assert.equal((await at()).name, "double");
  await stop(client.stepOutRequest({ threadId: 1 }));
  assert.equal((await at()).name, "total");
  await stop(client.reverseContinueRequest({ threadId: 1 }));
  assert.equal((await at()).line, 9);
});

test("goto", async () => {
  await begin();
  const { targets } = (await client.gotoTargetsRequest({ source: { path: program }, line: 10 })).body;
  assert.equal((await stop(client.gotoRequest({ threadId: 1, targetId: targets[0].id }))).reason, "goto");
  assert.equal((await at()).line, 10);
});

test("writing a variable forks, and the fork has the truth of a run in which it is so", async () => {
  await begin([{ line: 9 }]);
  await go();
  const { reference } = await scope("Locals");
  const stopped = client.waitForEvent("stopped");
  const answer = await client.setVariableRequest({ variablesReference: reference, name: "x", value: "100" });
  assert.equal(answer.body.value, "100");
  const fork = (await stopped).body.threadId;
  const { threads } = (await client.threadsRequest()).body;
  assert.deepEqual(
    threads.map((each) => each.name.split(" ")[0]),
    ["real", "predicted", "fork1", "fork1-truth"],
  );
  assert.equal((await scope("Locals", fork)).values.x, "100");
  const truth = threads[3].id;
  await client.setBreakpointsRequest({ source: { path: program }, breakpoints: [{ line: 10 }] });
  await stop(client.continueRequest({ threadId: truth }));
  assert.equal((await scope("Locals", truth)).values.t, String(200 + 4 + 6));
});

test("exceptions", async () => {
  await begin();
  await client.setExceptionBreakpointsRequest({ filters: ["raised"] });
  assert.equal((await go()).reason, "exception");
  const info = (await client.exceptionInfoRequest({ threadId: 1 })).body;
  assert.deepEqual([info.exceptionId, info.description], ["ValueError", "ValueError(12)"]);
  await client.setExceptionBreakpointsRequest({ filters: ["divergence"] });
  const stopped = await stop(client.continueRequest({ threadId: 2 }));
  assert.match(stopped.description, /first divergence/);
  assert.equal((await client.exceptionInfoRequest({ threadId: 2 })).body.exceptionId, "divergence");
});

test("restart", async () => {
  await begin([{ line: 9 }]);
  await go();
  assert.equal((await stop(client.restartRequest({}))).reason, "entry");
  assert.equal((await go()).reason, "breakpoint");
});

test("every verb in the console, and no such program", async () => {
  await begin();
  const stopped = client.waitForEvent("stopped");
  await client.evaluateRequest({ expression: "jump 10", context: "repl" });
  assert.match((await stopped).body.description, /real, frame/);
  const again = new DebugClient("node", path.join(__dirname, "adapter.js"), "cwm-trace");
  await again.start();
  await again.initializeRequest();
  await assert.rejects(again.launchRequest({ program: "none.py" }), /cannot read none.py/);
  await again.stop();
});
