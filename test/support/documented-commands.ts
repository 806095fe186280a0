import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The expected result of a marked block. */
export interface Expected {
  /** Exit code; undefined for any. */
  readonly exit: number | undefined;
  /** Expressions that the output (both streams) must match. */
  readonly output: readonly RegExp[];
  /** Repeat the block until its output matches, for effects that take a moment. */
  readonly until: RegExp | undefined;
}

/** A fenced block of a document that a reader could execute. */
export interface DocumentedBlock {
  readonly language: 'bash' | 'js';
  readonly code: string;
  /** Line of the fence, from 1. */
  readonly line: number;
  /** The headings above it. */
  readonly section: string;
  /** `preamble`: runs before each other block. A text: the reason why it is not executed. */
  readonly mark: 'preamble' | { readonly expected: Expected } | { readonly notRun: string };
}

/** The output of a finished command. */
export interface CommandResult {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Reads the executable blocks (bash and js) of a Markdown document. Comments right before a fence set what to
 * do with it:
 *
 *     <!-- run: exit 0 -->            it ends with this code
 *     <!-- run: expect <regex> -->    its output matches; may be repeated
 *     <!-- run: until <regex> -->     it is repeated until its output matches
 *     <!-- run: before each -->       it runs before every other block
 *     <!-- not run: <why> -->
 *
 * A block with expectations must end with 0 unless `exit` sets another code.
 *
 * @throws Error with the line of a block without a mark, or of an invalid mark
 */
export function readBlocks(markdown: string): DocumentedBlock[] {
  const blocks: DocumentedBlock[] = [];
  const lines = markdown.split('\n');
  const headings: string[] = [];
  let marks: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const heading = /^(#+) (.*)$/.exec(line);
    const fence = /^( *)```(\w*)$/.exec(line);
    const mark = /^ *<!-- ((?:not )?run:.*) -->$/.exec(line);
    if (mark !== null) marks.push(mark[1]!);
    else if (heading !== null) {
      headings.length = heading[1]!.length - 1;
      headings.push(heading[2]!);
    } else if (fence !== null) {
      const end = lines.indexOf(`${fence[1]}\`\`\``, i + 1);
      if (end === -1) throw new Error(`line ${i + 1}: the block does not end`);
      const language = fence[2]!;
      if (['sh', 'shell', 'console', 'javascript'].includes(language))
        throw new Error(`line ${i + 1}: ${language} is not executed; write bash or js`);
      if (language === 'bash' || language === 'js') {
        const code = lines.slice(i + 1, end).join('\n');
        const section = headings.slice(1).join(': ');
        blocks.push({ language, code, line: i + 1, section, mark: readMarks(marks, i + 1) });
      } else if (marks.length > 0)
        throw new Error(`line ${i + 1}: a mark before a block that is not executed`);
      marks = [];
      i = end;
    } else if (line.trim() !== '' && marks.length > 0)
      throw new Error(`line ${i + 1}: a mark must be directly before its block`);
  }
  return blocks;
}

function readMarks(marks: readonly string[], line: number): DocumentedBlock['mark'] {
  const [first] = marks;
  if (first === undefined)
    throw new Error(`line ${line}: the block has no mark, neither to run it nor with a reason not to`);
  const notRun = /^not run: (.+)$/.exec(first)?.[1];
  if (notRun !== undefined && marks.length === 1) return { notRun };
  if (first === 'run: before each' && marks.length === 1) return 'preamble';
  let exit: number | undefined = 0;
  let until: RegExp | undefined;
  const output: RegExp[] = [];
  for (const mark of marks) {
    const [, kind, text] = /^run: (exit|expect|until) (.+)$/.exec(mark) ?? [];
    if (kind === undefined || text === undefined) throw new Error(`line ${line}: invalid mark "${mark}"`);
    if (kind === 'exit') exit = Number(text);
    else if (kind === 'expect') output.push(new RegExp(text, 'm'));
    else until = new RegExp(text, 'm');
  }
  return { expected: { exit, output, until } };
}

/** Runs blocks in bash, like a reader who pastes them, in one directory. */
export class CommandRunner {
  constructor(
    private readonly settings: {
      readonly directory: string;
      readonly environment: NodeJS.ProcessEnv;
      /** Runs before each block. */
      readonly preamble: string;
      readonly limitMs: number;
    },
  ) {}

  /** Runs a block until it has the expected result. @throws Error with its output if it has not */
  async check(block: DocumentedBlock, { exit, output, until }: Expected): Promise<void> {
    const deadline = Date.now() + this.settings.limitMs;
    const wanted = [...output, ...(until === undefined ? [] : [until])];
    for (;;) {
      const result = await this.run(block);
      const missing = wanted.filter((regex) => !regex.test(result.output));
      const exitFits = exit === undefined || result.code === exit;
      if (missing.length === 0 && exitFits) return;
      if (until === undefined || Date.now() > deadline) {
        const why = exitFits
          ? `its output does not match ${missing.join(' and ')}`
          : `it ended with ${result.code}`;
        throw new Error(`line ${block.line}: ${why}\n${block.code}\n---\n${result.output}`);
      }
    }
  }

  private run({ language, code, line }: DocumentedBlock): Promise<CommandResult> {
    const { directory, preamble } = this.settings;
    if (language === 'bash') return this.bash(`${preamble}\n${code}\n`);
    const file = join(directory, `line-${line}.mjs`);
    writeFileSync(file, code);
    return this.bash(`${preamble}\nnode ${file}\n`);
  }

  /** Runs a script. Its background processes are ended with it. */
  bash(script: string): Promise<CommandResult> {
    const { directory: cwd, environment: env, limitMs } = this.settings;
    return new Promise((resolve, reject) => {
      const child = spawn('bash', ['-c', script], {
        cwd,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        // Its own process group, so that all of its processes can be ended.
        detached: true,
      });
      const end = () => {
        try {
          process.kill(-child.pid!, 'SIGKILL');
        } catch {
          // No process of the group is left.
        }
      };
      const limit = setTimeout(end, limitMs);
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data: Buffer) => (output += data.toString()));
      child.once('error', reject);
      child.once('exit', end);
      child.once('close', (exitCode) => {
        clearTimeout(limit);
        resolve({ code: exitCode, output });
      });
    });
  }
}
