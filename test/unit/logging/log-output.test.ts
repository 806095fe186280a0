import assert from 'node:assert/strict';
import { LogOutput } from '../../../server/logging/log-output.js';

/** Standard output, whose reader reads when the test says so. */
class Pipe {
  readonly lines: string[] = [];
  waitingBytes = 0;
  isBroken = false;

  write(line: string): void {
    this.lines.push(line);
    this.waitingBytes += line.length;
  }
}

function newOutput(limitBytes = 100) {
  const sink = new Pipe();
  const output: LogOutput = new LogOutput(
    { sink, onResumed: (dropped) => output.write(`dropped ${dropped}`) },
    { limitBytes },
  );
  return { sink, output };
}

describe('[LOG] standard output', () => {
  it('keeps a bounded number of bytes for a stalled reader, and counts the lines that it drops', () => {
    const { sink, output } = newOutput();
    for (let n = 0; n < 10_000; n++) output.write('x'.repeat(10));
    assert.equal(sink.waitingBytes, 100);
    assert.equal(output.dropped, 9990);
  });

  it('says once how many lines were dropped, when there is space again', () => {
    const { sink, output } = newOutput();
    for (let n = 0; n < 15; n++) output.write('x'.repeat(10));
    sink.waitingBytes = 0;
    output.write('next');
    output.write('last');
    assert.deepEqual(sink.lines.slice(10), ['dropped 5', 'next', 'last']);
  });

  it('drops every line once the reader has gone', async () => {
    const { sink, output } = newOutput();
    output.write('before');
    sink.isBroken = true;
    output.write('after');
    assert.deepEqual(sink.lines, ['before']);
    await output.flushed(60_000);
  });

  it('does not wait for a stalled reader for longer than it was told', async () => {
    const { output } = newOutput();
    output.write('never read');
    await output.flushed(20);
  });
});
