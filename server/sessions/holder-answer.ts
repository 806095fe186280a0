import type { StoredSession } from './session-store.js';

/**
 * What a holder says of its session: true: it keeps it; false: it yields, and the store has all of it. With `unwritten`
 * it yields too, and the store has an earlier state, because it does not take writes. Null: nobody can say what its
 * client has received last; releases before this one take that, and `unwritten`, for false.
 */
export type HolderAnswer = boolean | null | { readonly unwritten: StoredSession };
