import { serverClock } from '../live.js';
import { duration, exact, plain, visible } from '../format.js';

/** Text from outside: shown as text, cut, with unseen characters as codes. */
export function Text({ of, max = 300, lines = false }: { of: string; max?: number; lines?: boolean }) {
  const cut = of.length > max ? of.slice(0, max) : of;
  return (
    <>
      {visible(cut, lines).map(({ text, hidden }, i) =>
        hidden ? (
          <span key={i} class="unseen" title="A character that is not shown">
            {text}
          </span>
        ) : (
          text
        ),
      )}
      {cut !== of && '…'}
    </>
  );
}

/** An id or a name. */
export function Id({ of, href }: { of: string; href?: string }) {
  const text = (
    <bdi class="id" title={of.length > 60 ? plain(of, 500) : undefined}>
      {of === '' ? '(empty)' : <Text of={of} max={60} />}
    </bdi>
  );
  return href === undefined ? text : <a href={href}>{text}</a>;
}

/** How long ago, with the exact time on hover. */
export function Ago({ at }: { at: number | null | undefined }) {
  if (at === null || at === undefined || at === 0) return <>–</>;
  const secs = (serverClock.value - at) / 1000;
  return (
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {Math.abs(secs) < 2 ? 'just now' : secs < 0 ? `in ${duration(-secs)}` : `${duration(secs)} ago`}
    </time>
  );
}

const words = { ok: '●', warning: '▲', critical: '■', info: '○' } as const;

/** A state: shape, word and colour. */
export function Badge({ state, word }: { state: keyof typeof words; word: string }) {
  return (
    <span class={`badge ${state}`}>
      <span aria-hidden="true">{words[state]} </span>
      <Text of={word} />
    </span>
  );
}

/** A share of a limit. */
export function Bar({ share, text, warnAt = 0.75 }: { share: number | null; text: string; warnAt?: number }) {
  const percent = share === null ? 0 : Math.min(100, Math.max(0, share * 100));
  return (
    <div class={`bar ${share !== null && share >= warnAt ? 'warn' : ''}`}>
      {share !== null && <i style={{ '--v': `${percent}%` }} />}
      <span>{text}</span>
    </div>
  );
}
