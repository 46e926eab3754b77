/** Parameters of a scenario: typed, with defaults, set from outside as `--param name=value`. */
import type { Settings } from '../../engine/vmm/settings.ts';

/** A whole number within bounds. */
export interface IntParam {
  readonly kind: 'int';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** What it is, for `--help` and error messages. */
  readonly help: string;
}

/** One word out of a few. */
export interface ChoiceParam {
  readonly kind: 'choice';
  readonly default: string;
  readonly choices: readonly string[];
  readonly help: string;
}

/** One parameter, and all of a scenario's by name. */
export type ParamSpec = IntParam | ChoiceParam;
export type ParamSpecs = Readonly<Record<string, ParamSpec>>;

/** The values a scenario sees: numbers for `int`, words for `choice`. */
export type ParamValues<P extends ParamSpecs> = {
  readonly [K in keyof P]: P[K] extends IntParam
    ? number
    : P[K] extends ChoiceParam
      ? string
      : number | string;
};
/** Parameter values where the scenario is not known. */
export type AnyParams = Settings;

/** A whole number with a default and bounds. */
export const int = (value: number, min: number, max: number, help: string): IntParam => ({
  kind: 'int',
  default: value,
  min,
  max,
  help,
});

/** One of `choices`; the first is the default. */
export const choice = (choices: readonly [string, ...string[]], help: string): ChoiceParam => ({
  kind: 'choice',
  default: choices[0],
  choices,
  help,
});

/** Values, or one sentence that says what is wrong with what was given. */
export type Resolved = { readonly values: AnyParams } | { readonly error: string };

/**
 * Fills in the defaults and checks what was given. `given` may name only parameters of this scenario: the
 * runner sorts out which scenario a parameter is for.
 */
export function resolveParams(specs: ParamSpecs, given: Readonly<Record<string, string | number>>): Resolved {
  const values: Record<string, number | string> = {};
  for (const [name, spec] of Object.entries(specs)) values[name] = spec.default;
  for (const [name, raw] of Object.entries(given)) {
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) return { error: `unknown parameter '${name}' (known: ${knownParams(specs)})` };
    const value = readParam(spec, String(raw));
    if (value === undefined) return { error: `parameter ${name}=${raw}: ${expected(spec)}` };
    values[name] = value;
  }
  return { values };
}

function readParam(spec: ParamSpec, raw: string): number | string | undefined {
  if (spec.kind === 'choice') return spec.choices.includes(raw) ? raw : undefined;
  const n = /^\d[\d_]*$/.test(raw) ? Number(raw.replaceAll('_', '')) : Number.NaN;
  return Number.isSafeInteger(n) && n >= spec.min && n <= spec.max ? n : undefined;
}

function expected(spec: ParamSpec): string {
  return spec.kind === 'choice'
    ? `expected one of ${spec.choices.join(', ')}`
    : `expected a whole number from ${spec.min} to ${spec.max}`;
}

function knownParams(specs: ParamSpecs): string {
  return Object.keys(specs).join(', ') || 'none';
}
