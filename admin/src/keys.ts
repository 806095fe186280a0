import { paused, refresh } from './live.js';
import { go } from './router.js';

const places: Readonly<Record<string, string>> = {
  o: '',
  k: 'talkers',
  t: 'topics',
  u: 'users',
  c: 'connections',
  m: 'messages',
  a: 'actors',
  s: 'sessions',
  l: 'audit',
  e: 'settings',
};

/** The keys of the console, for people who know them: `/`, `g` and a letter, `j` and `k`, `p`. Returns what ends it. */
export function followKeys(): () => void {
  let isGoing = false;
  const onKey = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName))
      return;
    if (document.querySelector('dialog[open]') !== null) return;
    const wasGoing = isGoing;
    isGoing = event.key === 'g';
    if (wasGoing && places[event.key] !== undefined) go(`#/${places[event.key]}`);
    else if (event.key === '/') document.getElementById('search')?.focus();
    else if (event.key === 'j' || event.key === 'k') moveRow(event.key === 'j' ? 1 : -1);
    else if (event.key === 'p') {
      paused.value = !paused.value;
      void refresh();
    } else return;
    event.preventDefault();
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}

/** Moves the focus to the first link of the next row; Enter then opens it. */
function moveRow(by: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>('main tbody tr')]
    .map((row) => row.querySelector<HTMLElement>('a'))
    .filter((link) => link !== null);
  const row = document.activeElement?.closest('tr') ?? null;
  const now = row === null ? -1 : links.findIndex((link) => row.contains(link));
  links[Math.min(links.length - 1, Math.max(0, now === -1 ? 0 : now + by))]?.focus();
}
