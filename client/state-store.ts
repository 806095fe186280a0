/** Where the state of a client is kept. Web storage has this form; a store of one's own may answer with promises. */
export interface StateStore {
  getItem(key: string): string | null | undefined | PromiseLike<string | null | undefined>;
  setItem(key: string, value: string): unknown;
  removeItem(key: string): unknown;
}
