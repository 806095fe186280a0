import { signal } from '@preact/signals';
import { addressPart } from './format.js';

/** The screen in the address, behind `#`: `#/topic/news` is `['topic', 'news']`, with its query. */
export interface Place {
  readonly screen: string;
  readonly name: string;
  readonly query: URLSearchParams;
}

export const place = signal(read());

function read(): Place {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [screen = '', name = ''] = path.split('/');
  return { screen, name: decoded(name), query: new URLSearchParams(query) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

addEventListener('hashchange', () => (place.value = read()));

export const linkTo = (screen: string, name?: string, query?: Readonly<Record<string, string>>): string => {
  const path = name === undefined ? `#/${screen}` : `#/${screen}/${addressPart(name)}`;
  return query === undefined ? path : `${path}?${new URLSearchParams(query).toString()}`;
};

export function go(address: string): void {
  location.hash = address;
}
