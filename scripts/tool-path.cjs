// The PATH for what the tests run. Debian installs servers (nginx, haproxy) where the PATH of ordinary users does not look.
const { delimiter } = require('node:path');

const given = (process.env.PATH ?? '').split(delimiter);
const servers = ['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((directory) => !given.includes(directory));

module.exports = { toolPath: [...given, ...servers].join(delimiter) };
