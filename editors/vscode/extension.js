// Tells VS Code how to start `cwm-trace dap`, or where one listens; everything else is in package.json.
const vscode = require("vscode");

function activate(context) {
  const factory = {
    createDebugAdapterDescriptor(session) {
      if (session.configuration.port) {
        return new vscode.DebugAdapterServer(session.configuration.port, "127.0.0.1");
      }
      const [program, ...rest] = vscode.workspace.getConfiguration("cwm-trace").get("command", ["cwm-trace"]);
      return new vscode.DebugAdapterExecutable(program, [...rest, "dap"]);
    },
  };
  context.subscriptions.push(vscode.debug.registerDebugAdapterDescriptorFactory("cwm-trace", factory));
}

module.exports = { activate };
