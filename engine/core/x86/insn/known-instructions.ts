/**
 * Every instruction that iced-x86 can decode, and what becomes of it here: what docs/instructions.md is made of. An
 * instruction that is executed may still refuse an operand or a state; that is said where it is done.
 */
import { Code, CpuidFeature, Instruction, Mnemonic } from 'iced-x86';
import { HANDLERS } from '../exec/mnemonics.ts';
import { processorLacks } from './features.ts';

/** What the guest gets: execution, `unsupported`, or #UD because the processor lacks it. */
export type Support = 'executed' | 'unsupported' | 'lacking';

/** The mnemonics of one class (CPUID feature) by what becomes of them. */
export interface InstructionClass {
  readonly name: string;
  readonly executed: readonly string[];
  readonly unsupported: readonly string[];
  readonly lacking: readonly string[];
}

/** Handled by the decoder, for their names have two meanings. */
const TWO_MEANINGS: ReadonlySet<number> = new Set([Mnemonic.Movsd, Mnemonic.Cmpsd]);
/** Not instructions: data, and the mark of what could not be decoded. */
const PSEUDO: ReadonlySet<number> = new Set([
  Mnemonic.INVALID,
  Mnemonic.Db,
  Mnemonic.Dw,
  Mnemonic.Dd,
  Mnemonic.Dq,
  Mnemonic.Zero_bytes,
]);

const numbersOf = (names: Readonly<Record<string, string | number>>): [string, number][] =>
  Object.entries(names).filter((entry): entry is [string, number] => typeof entry[1] === 'number');

/** All instructions by class, in iced-x86's order of classes. */
export function surveyInstructions(): readonly InstructionClass[] {
  const classes = new Map<string, Record<Support, Set<string>>>();
  const featureNames = new Map(numbersOf(CpuidFeature).map(([name, n]) => [n, name]));
  const mnemonicNames = new Map(numbersOf(Mnemonic).map(([name, n]) => [n, name.toLowerCase()]));
  const instruction = new Instruction();
  for (const [, code] of numbersOf(Code)) {
    instruction.code = code;
    const { mnemonic } = instruction;
    if (PSEUDO.has(mnemonic)) continue;
    const features = [...instruction.cpuidFeatures()].map((n) => featureNames.get(n) ?? '');
    const name = features.join(' and ') || 'none';
    let sets = classes.get(name);
    if (sets === undefined) {
      sets = { executed: new Set(), unsupported: new Set(), lacking: new Set() };
      classes.set(name, sets);
    }
    sets[supportOf(mnemonic, instruction)].add(mnemonicNames.get(mnemonic) ?? '');
  }
  instruction.free();
  return [...classes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sets]) => ({
      name,
      executed: [...sets.executed].toSorted(),
      unsupported: [...sets.unsupported].toSorted(),
      lacking: [...sets.lacking].toSorted(),
    }));
}

function supportOf(mnemonic: number, instruction: Instruction): Support {
  if (HANDLERS.has(mnemonic) || TWO_MEANINGS.has(mnemonic)) {
    // EVEX forms share their mnemonics with VEX ones.
    return processorLacks(instruction) ? 'lacking' : 'executed';
  }
  return processorLacks(instruction) ? 'lacking' : 'unsupported';
}
