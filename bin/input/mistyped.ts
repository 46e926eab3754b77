/** Names a user may have mistyped: the right one, or one line that says what was meant. */
import { suggestion } from '../../scenarios/language/nearest.ts';
import { UsageError } from '../io.ts';

/** The element of `known` that was named, or a `UsageError` with a suggestion. */
export function byName<T extends { readonly name: string }>(
  typed: string,
  known: readonly T[],
  what: string,
): T {
  const found = known.find((k) => k.name === typed);
  if (found) return found;
  const names = known.map((k) => k.name);
  throw new UsageError(
    `no ${what} is called '${typed}'.${suggestion(typed, names, 'See them with: compare list')}`,
  );
}
