/** What a user's function returns has to be there when it returns: nothing here waits. */

/** Something that will be there later: nothing waits for it. */
export const isPromise = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

/** The complaint about a promise. */
export const promised = (what: string): string =>
  `${what} returns a promise; it has to be done when it returns`;

/** Throws if `value` is a promise; what becomes of it is nobody's business then. */
export function refusePromise(what: string, value: unknown): void {
  if (!isPromise(value)) return;
  Promise.resolve(value).catch(() => {});
  throw new Error(promised(what));
}
