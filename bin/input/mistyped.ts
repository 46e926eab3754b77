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

/** Checks one of a few words, as `choices` would, but with a suggestion. */
export function oneOf<const T extends string>(option: string, typed: string, choices: readonly T[]): T {
  const found = choices.find((c) => c === typed);
  if (found !== undefined) return found;
  throw new UsageError(`--${option} '${typed}': choose from ${choices.join(', ')}`);
}
