// Makes function.zip of what build.sh builds and compiles, before the framework packages it.
const { execSync } = require("node:child_process");

const command = `./build.sh && python3 -c "import shutil; shutil.make_archive('function', 'zip', 'build')"`;
const build = () => execSync(command, { cwd: __dirname, stdio: "inherit" });

module.exports = class {
  hooks = { "before:package:createDeploymentArtifacts": build };
};
