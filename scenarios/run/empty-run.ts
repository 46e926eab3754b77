/** A run that told nothing: what runs which were lost or cut off are made from. */
import { noExits } from '../../engine/exits.ts';
import type { Run } from './comparison.ts';

/** A run of which nothing was seen. */
export const emptyRun = (
  of: Pick<Run, 'scenario' | 'strategy' | 'paging' | 'engine'>,
): Omit<Run, 'fate' | 'detail' | 'because'> => ({
  ...of,
  exits: noExits(),
  slotOps: 0,
  romIntact: true,
  operations: 0,
  predictions: [],
  claims: [],
  romWrites: [],
});
