// What the client starts: `cwm-trace dap` of the Python in CWM_TRACE_PYTHON, on these standard streams.
const { spawn } = require("node:child_process");

const python = process.env.CWM_TRACE_PYTHON || "python3";
const adapter = spawn(python, ["-m", "cwm_trace", "dap"], { stdio: "inherit" });
adapter.on("exit", (code) => process.exit(code ?? 1));
process.on("SIGTERM", () => adapter.kill());
