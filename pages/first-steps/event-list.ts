export type Direction = 'sent' | 'received' | 'http' | 'note' | 'problem';

/** The page stays light however long it is open. */
const limit = 300;

/** Characters of one event. */
const shownLength = 2000;

/** The list of what happens. Whatever comes from the network is shown as text, never as HTML. */
export class EventList {
  constructor(
    private readonly list: HTMLElement,
    /** What is scrolled. */
    private readonly frame: HTMLElement,
    private readonly empty: HTMLElement,
  ) {}

  /** @param mark a word that makes an event stand out */
  add(direction: Direction, what: string, data?: unknown, mark?: string): void {
    this.empty.hidden = true;
    const item = document.createElement('li');
    item.className = direction;
    item.append(part('direction', direction), ' ', part('what', what));
    if (mark !== undefined) item.append(' ', part('mark', mark));
    if (data !== undefined) item.append(' ', part('data', JSON.stringify(data).slice(0, shownLength)));
    const { frame } = this;
    const isAtEnd = frame.scrollHeight - frame.scrollTop - frame.clientHeight < 40;
    this.list.append(item);
    while (this.list.childElementCount > limit) this.list.firstElementChild!.remove();
    // Who reads further up is left there.
    if (isAtEnd) frame.scrollTop = frame.scrollHeight;
  }
}

function part(className: string, text: string): HTMLElement {
  const element = document.createElement(className === 'data' ? 'code' : 'span');
  element.className = className;
  element.textContent = text;
  return element;
}
