/** Checks what a user's module exports before it is taken for a scenario or a strategy. */
import { z } from 'zod';
import type { Strategy } from '../../strategies/strategy.ts';
import { checkMemory } from './regions.ts';
import type { Scenario } from './scenario.ts';

/** The thing asked for, or one line that says why the module has none. */
export type Checked<T> = { readonly value: T } | { readonly error: string };

const name = z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/, 'expected a kebab-case name');
const text = z.string().min(1, 'expected a sentence');
const fn = z.custom<(...args: never[]) => unknown>((v) => typeof v === 'function', 'expected a function');

const patch = z.object({ name, subject: text, source: text, apply: fn });

const strategy = z.object({
  name,
  cover: text,
  source: text,
  layout: z.object({
    backing: z.enum(['shm', 'anon', 'file']),
    shared: z.boolean(),
    prot: z.int().min(0).max(3),
    slotFlags: z.int().min(0).nullable(),
  }),
  series: z.array(patch),
  vmm: z
    .object({
      onEfault: z.union([z.enum(['die', 'skip', 'retry']), fn]).optional(),
      onMmio: fn.optional(),
      onPort: fn.optional(),
      romd: z.enum(['slot', 'none']).optional(),
    })
    .optional(),
});

const region = z.object({
  kind: z.enum(['rom', 'ram', 'hole', 'device']),
  at: z.number(),
  bytes: z.number(),
  content: fn.optional(),
  device: fn.optional(),
  absent: z.boolean().optional(),
  logDirty: z.boolean().optional(),
});

const param = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('int'), default: z.int(), min: z.int(), max: z.int(), help: z.string() }),
  z.object({
    kind: z.literal('choice'),
    default: z.string(),
    choices: z.array(z.string()).min(1),
    help: z.string(),
  }),
]);

const scenario = z.object({
  name,
  asks: text,
  operation: text,
  source: text,
  params: z.record(z.string(), param).optional(),
  memory: z.record(z.string(), region),
  mode: z.enum(['prot32', 'long64']).optional(),
  cr3: z.int().optional(),
  before: fn.optional(),
  actions: z.record(z.string(), fn).optional(),
  guest: fn,
  operations: fn,
  expect: fn.optional(),
  observe: fn.optional(),
  claims: fn.optional(),
});

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
  if (result.success) return { value };
  const issue = result.error.issues[0];
  const path = issue?.path.join('.') || 'default export';
  return { error: `${where}: not ${what}: ${path}: ${issue?.message ?? 'wrong shape'}` };
}

function defaultExport(module: unknown): unknown {
  const isModule = typeof module === 'object' && module !== null && 'default' in module;
  return isModule ? module.default : module;
}
