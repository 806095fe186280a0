import cluster, { type Worker } from 'node:cluster';

/**
 * A program that runs replicas, of the program in its first argument, as processes of one port, as PM2 does in cluster mode. Its messages: `start` starts another one, `stop <pid>`
 * ends one with SIGTERM. It reports `ready <pid>` and `exit <pid> <code>`.
 */
function main(): void {
  cluster.setupPrimary({ exec: process.argv[2]! });
  const report = (text: string) => process.send?.(text);
  const start = () => {
    const worker: Worker = cluster.fork();
    worker.on('message', (message) => {
      if (message === 'ready') report(`ready ${worker.process.pid}`);
    });
    worker.on('exit', (code) => report(`exit ${worker.process.pid} ${code}`));
  };
  process.on('message', (message: string) => {
    const [what, pid] = message.split(' ');
    if (what === 'start') start();
    else process.kill(Number(pid), 'SIGTERM');
  });
  process.on('disconnect', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
    process.exit();
  });
}

main();
