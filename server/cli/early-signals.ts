// A signal that comes while the modules are loaded would end the process as if it had crashed, or, where it is process 1 of a container, be
// lost. With a listener Node keeps it until the program has its own.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {});
