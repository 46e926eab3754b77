/** The VMM changes the ROM while the guest runs, as a device does that loads new firmware. */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { choice, int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, eax, ebx, edi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAG,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  SKIPS,
  UNFLAGGED_READONLY,
  V3_CACHES,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

const MARCELO = 'Marcelo, 14 August 2012: two mappings with different protections';

export default defineScenario({
  name: 'alias-update',
  asks: 'The VMM writes the ROM through its own mapping: does the guest see it at once?',
  operation: 'update',
  source: MARCELO,
  params: {
    updates: int(8, 1, 250, 'updates, each read by the guest'),
    write: choice(['no', 'yes'], 'whether the guest has stored to that page before'),
  },
  memory: { bios: rom(0xf_0000, 0x1_0000) },
  actions: {
    update(vmm) {
      const version = Number(vmm.notes.version ?? 0) + 1;
      vmm.note('version', version);
      vmm.poke('bios', 0, Uint8Array.of(version, 0, 0, 0));
    },
  },
  guest(g, { bios }, { updates, write }) {
    g.set(edi, bios.at);
    g.load(eax, at(edi));
    if (write === 'yes') g.store(at(edi, 8), eax);
    g.clear(ebx);
    g.times(updates, () => {
      g.vmm('update');
      g.addFrom(ebx, at(edi));
      g.done();
    });
    g.halt();
  },
  operations: ({ updates }) => updates,
  expect: (_, { updates }) => ({ ebx: (updates * (updates + 1)) / 2 }),
  claims({ params: { updates, write } }) {
    const n = count('N', updates);
    const io = { io: n };
    const wrote = write === 'yes' ? 1 : 0;
    const exits = { exits: { ...io, 'mmio-write': wrote } };
    const refused = ends('efault', WRITE_KILLS, { operations: 0 });
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, wrote ? refused : lives(MARCELO, exits)),
      'gup-nowait-reasons': lives(GUP_REASONS, exits),
      ...same(FLAGGED, lives(FLAG, exits)),
      'readonly-memslot-v3': lives(V3_CACHES, { exits: { ...exits.exits, 'mmio-read': wrote ? n : 0 } }),
      'private-cow': wrote
        ? ends('corrupt', COPY_ON_WRITE, { romIntact: true })
        : lives(COPY_ON_WRITE, exits),
      'no-slot-mmio': lives(NO_SLOT, { exits: { ...exits.exits, 'mmio-read': count('N + 1', updates + 1) } }),
      'writable-slot': wrote ? ends('corrupt', WRITABLE, { romIntact: false }) : lives(WRITABLE, exits),
      'efault-skip': lives(SKIPS, { exits: { ...io, efault: wrote } }),
    });
  },
});
