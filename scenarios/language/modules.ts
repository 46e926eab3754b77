/** Checks what a user's module exports before it is taken for a scenario or a strategy. */
import { z } from 'zod';
import { BACKING_KINDS } from '../../engine/machine.ts';
import type { Patch } from '../../engine/policy.ts';
import type { Answers } from '../../engine/vmm/answers.ts';
import { FLASH_MODELS } from '../../engine/vmm/devices/cfi.ts';
import type { Layout } from '../../engine/vmm/layout.ts';
import type { Region } from '../../engine/vmm/place.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import type { ChoiceParam, IntParam } from './params.ts';
import { checkMemory } from './regions.ts';
import type { Scenario } from './scenario.ts';
import { complaint, strict } from './strict.ts';

/** The thing asked for, or one line that says why the module has none. */
export type Checked<T> = { readonly value: T } | { readonly error: string };

/** A check for every key a type has, so that a new one cannot be forgotten here. */
type Shape<T> = { readonly [K in keyof T]-?: z.ZodType };

/** Longest name and longest sentence, in characters; both are printed in tables. */
const NAME_MAX = 80;
const TEXT_MAX = 2000;
/** Patches in a series. The longest series on the kernel's list are shorter. */
const SERIES_MAX = 256;

const name = z
  .string()
  .max(NAME_MAX, `expected at most ${NAME_MAX} characters`)
  .regex(/^[a-z0-9][a-z0-9.+-]*$/, 'expected a kebab-case name');
const text = z
  .string()
  .min(1, 'expected a sentence')
  .max(TEXT_MAX, `expected at most ${TEXT_MAX} characters`);
const fn = z.custom<(...args: never[]) => unknown>((v) => typeof v === 'function', 'expected a function');

const patch = strict({ name, subject: text, source: text, apply: fn } satisfies Shape<Patch>);

const strategy = strict({
  name,
  cover: text,
  source: text,
  layout: strict({
    backing: z.enum(BACKING_KINDS),
    shared: z.boolean(),
    prot: z.int().min(0).max(3),
    transparentHuge: z.boolean().optional(),
    userfaultfd: z.enum(['prompt', 'slow']).optional(),
    slotFlags: z.int().min(0).max(0xffff_ffff).nullable(),
  } satisfies Shape<Layout>),
  series: z.array(patch).max(SERIES_MAX, `expected at most ${SERIES_MAX} patches`),
  vmm: strict({
    onEfault: z.union([z.enum(['die', 'skip', 'retry']), fn]).optional(),
    onMmio: fn.optional(),
    onPort: fn.optional(),
    romd: z.enum(['slot', 'none']).optional(),
    emptyBus: z.enum(['ones', 'zeros', 'kept']).optional(),
    flash: z.enum(FLASH_MODELS).optional(),
  } satisfies Shape<Answers>).optional(),
} satisfies Shape<Omit<Strategy, 'cross' | 'claimed'>>);

const region = strict({
  kind: z.enum(['rom', 'ram', 'hole', 'device']),
  at: z.number(),
  bytes: z.number(),
  content: fn.optional(),
  device: fn.optional(),
  absent: z.boolean().optional(),
  logDirty: z.boolean().optional(),
} satisfies Shape<Region>);

const param = z.discriminatedUnion('kind', [
  strict({
    kind: z.literal('int'),
    default: z.int(),
    min: z.int().min(0),
    max: z.int(),
    help: z.string(),
  } satisfies Shape<IntParam>).refine((p) => p.min <= p.default && p.default <= p.max, {
    path: ['default'],
    message: 'expected a default from min to max',
  }),
  strict({
    kind: z.literal('choice'),
    default: z.string(),
    choices: z.array(z.string()).min(1),
    help: z.string(),
  } satisfies Shape<ChoiceParam>).refine((p) => p.choices.includes(p.default), {
    path: ['default'],
    message: 'expected one of the choices',
  }),
]);

const scenario = strict({
  name,
  asks: text,
  operation: text,
  source: text,
  params: z.record(z.string().regex(/^[a-z][\w-]*$/i, 'expected a word'), param).optional(),
  memory: z.record(z.string(), region),
  mode: z.enum(['prot32', 'long64']).optional(),
  cr3: z.int().min(0).max(0xffff_ffff).optional(),
  before: fn.optional(),
  actions: z.record(z.string(), fn).optional(),
  guest: fn,
  operations: fn,
  expect: fn.optional(),
  observe: fn.optional(),
  finding: fn.optional(),
  claims: fn.optional(),
} satisfies Shape<Scenario>);

/** A strategy out of a module: its default export, or the object itself. `where` names it in the error. */
export function checkStrategy(module: unknown, where: string): Checked<Strategy> {
  return check(strategy, module, where, 'a strategy') as Checked<Strategy>;
}

/** A scenario out of a module: its default export, or the object itself. */
export function checkScenario(module: unknown, where: string): Checked<Scenario> {
  const checked = check(scenario, module, where, 'a scenario') as Checked<Scenario>;
  if ('error' in checked) return checked;
  const wrong = checkMemory(checked.value.memory);
  return wrong === undefined ? checked : { error: `${where}: ${wrong}` };
}

function check(schema: z.ZodType, module: unknown, where: string, what: string): Checked<unknown> {
  const value = defaultExport(module);
  if (typeof value !== 'object' || value === null) {
    return { error: `${where}: the default export is not ${what}` };
  }
  const result = schema.safeParse(value);
  // The object itself goes on, not a copy: its methods may want their `this`.
  return result.success ? { value } : { error: `${where}: not ${what}: ${complaint(result.error)}` };
}

function defaultExport(module: unknown): unknown {
  const isModule = typeof module === 'object' && module !== null && 'default' in module;
  return isModule ? module.default : module;
}
