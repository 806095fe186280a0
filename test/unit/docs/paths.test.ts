import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '../../support/root.js';

const inDocs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
// The changelog is not among them: it may name what has gone.
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', join('docker', 'grafana', 'README.md')],
  ...inDocs,
];

const read = (page: string) => readFileSync(join(root, page), 'utf8');

/** Folders of this repository that documents name. */
const folders = ['server', 'shared', 'test', 'bench', 'docs', 'scripts', 'docker'];
const fence = /^( *)```(\w*)\n([\s\S]*?)^\1```$/gm;
/** A file or folder inside one of {@link folders}; or, wherever it is said to be, a file of source code in a folder. */
const pathForm = new RegExp(`^(?:(?:${folders.join('|')})/[\\w./-]*|[\\w.-]+/[\\w./-]*\\.(?:ts|lua|cjs))$`);

/** Text without its fenced blocks. */
const prose = (page: string) => read(page).replace(fence, '');

/** Paths in the inline code of a page, and those in its pictures. */
function pathsIn(page: string): string[] {
  const inline = [...prose(page).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  const pictures = [...read(page).matchAll(fence)].filter(([, , language]) => language === 'mermaid');
  const inPictures = pictures.flatMap(([, , , text = '']) => text.split(/[^\w./-]+/));
  return [...inline, ...inPictures].filter((code) => pathForm.test(code));
}

/** Names of the headings of a page, as links use them. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title = ''] of prose(page).matchAll(/^#+ (.+)$/gm)) {
    const name = title.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
    let unique = name;
    for (let n = 1; anchors.has(unique); n++) unique = `${name}-${n}`;
    anchors.add(unique);
  }
  return anchors;
}

describe('[DOCS] the pages of the documentation', () => {
  it('name only files and folders that exist', () => {
    const named = pages.flatMap((page) => pathsIn(page).map((path) => ({ page, path })));
    assert.ok(named.length > 150, `only ${named.length} paths were found`);
    const missing = named.filter(({ path }) => !existsSync(join(root, path)));
    assert.deepEqual(missing, []);
  });

  it('link only to pages and headings that exist', () => {
    const broken: string[] = [];
    let links = 0;
    for (const page of pages) {
      for (const [, target = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        links++;
        const [file = '', anchor] = target.split('#');
        const linked = file === '' ? page : relative(root, join(root, dirname(page), file));
        const isThere =
          existsSync(join(root, linked)) && (anchor === undefined || anchorsOf(linked).has(anchor));
        if (!isThere) broken.push(`${page}: ${target}`);
      }
    }
    assert.ok(links > 100, `only ${links} links were found`);
    assert.deepEqual(broken, []);
  });

  it('are all in the index, and all decisions in theirs', () => {
    for (const [folder, index] of [
      ['docs', read(join('docs', 'README.md'))],
      [join('docs', 'adr'), read(join('docs', 'adr', 'README.md'))],
    ] as const) {
      for (const name of readdirSync(join(root, folder)).filter((file) => /^(?!README).*\.md$/.test(file)))
        assert.ok(index.includes(`](${name})`), join(folder, name));
    }
  });
});
