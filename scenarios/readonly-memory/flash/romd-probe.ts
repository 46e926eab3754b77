/** OVMF asks what its flash is, by writing commands to it and reading what comes back. */

import {
  CLEAR_STATUS,
  FLASH_MODELS,
  PROGRAM_BYTE,
  READ_ARRAY,
  READ_STATUS,
  STATUS_PROGRAM_FAILED,
} from '../../../engine/vmm/devices/cfi.ts';
import type { Device, DeviceHost } from '../../../engine/vmm/devices/device.ts';
import { pflash } from '../../../engine/vmm/devices/pflash.ts';
import { unwritable } from '../../../engine/vmm/devices/unwritable.ts';
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { type AnyParams, choice } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { al, at, bl, edi, esi } from '../../language/registers.ts';
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
} from '../sources.ts';
import { BLOCK_BYTES, blankVarstore } from './varstore.ts';

/** What the firmware can conclude, in the order of the numbers it leaves in esi. */
const VERDICTS = ['none', 'RAM', 'ROM', 'flash, write-protected', 'flash, writable'] as const;
/** Bytes looked at before one is found that is no command: sixteen zeros, and the one that will do. */
const SEARCHED = 17;
const PROBE = 'edk2, QemuFlashDetected()';
const BHYVE = 'a probe of a read-only mapping kills the VM, as on bhyve (uefi-edk2 issue 8)';

function chip(host: DeviceHost, params: AnyParams): Device {
  if (params.drive === 'rom') return unwritable(host);
  return pflash({ blockBytes: BLOCK_BYTES, readOnly: params.drive === 'read-only' })(host, params);
}

export default defineScenario({
  name: 'romd-probe',
  asks: 'OVMF probes its flash: does it find RAM, ROM, or flash, and can it write it?',
  operation: 'probe',
  source: PROBE,
  params: {
    drive: choice(['writable', 'read-only', 'rom'], 'what is behind the flash'),
    flash: choice(FLASH_MODELS, 'whose chip'),
  },
  memory: { flash: rom(0xffc0_0000, 0x1_0000, { content: blankVarstore, device: chip }) },
  guest(g, { flash }) {
    g.set(edi, flash.at - 1);
    g.label('search');
    g.increment(edi);
    g.load(bl, at(edi));
    for (const byte of [0, CLEAR_STATUS, READ_STATUS]) {
      g.compare(bl, byte);
      g.jumpIf('z', 'search');
    }
    g.storeByte(at(edi), CLEAR_STATUS);
    g.load(al, at(edi));
    g.compare(al, CLEAR_STATUS);
    g.jumpIf('z', 'ram');
    g.storeByte(at(edi), READ_STATUS);
    g.load(al, at(edi));
    g.compareRegisters(al, bl);
    g.jumpIf('z', 'rom');
    g.compare(al, READ_STATUS);
    g.jumpIf('z', 'ram');
    // It is flash: program the byte that is there already, and see whether that fails.
    g.storeByte(at(edi), PROGRAM_BYTE);
    g.store(at(edi), bl);
    g.storeByte(at(edi), READ_STATUS);
    g.load(al, at(edi));
    g.storeByte(at(edi), READ_ARRAY);
    g.set(esi, 3);
    g.test(al, STATUS_PROGRAM_FAILED);
    g.jumpIf('nz', 'end');
    g.set(esi, 4);
    g.jump('end');
    g.label('rom');
    g.set(esi, 2);
    g.jump('end');
    g.label('ram');
    g.store(at(edi), bl);
    g.set(esi, 1);
    g.label('end');
    g.done();
    g.halt();
  },
  operations: () => 1,
  observe: (_, regs) => ({ verdict: VERDICTS[Number(regs.gpr[6] ?? 0n)] ?? 'none' }),
  finding({ verdict }) {
    if (verdict === 'none') return undefined;
    return `OVMF found ${verdict}${verdict === 'RAM' || verdict === 'ROM' ? ', so no flash' : ''}`;
  },
  claims({ params: { drive, flash } }) {
    // What OVMF finds on other VMMs is shown, and nothing was said of it beforehand.
    if (flash !== 'qemu-9') return {};
    const isRom = drive === 'rom';
    const verdict = isRom ? 'ROM' : drive === 'read-only' ? 'flash, write-protected' : 'flash, writable';
    const writes = count(isRom ? '2' : '6', isRom ? 2 : 6);
    // Before 0x70 is written the chip is in array mode, so only its status is read by MMIO.
    const found = {
      exits: { 'mmio-write': writes, 'mmio-read': isRom ? 0 : 2 },
      slotOps: isRom ? 0 : count('2 × 2', 4),
      observed: { verdict },
    };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', BHYVE, { operations: 0 })),
      'gup-nowait-reasons': lives(GUP_REASONS, found),
      ...same(FLAGGED, lives(FLAG, found)),
      'readonly-memslot-v3': isRom
        ? lives(V3_CACHES, { ...found, exits: { 'mmio-write': writes, 'mmio-read': 2 } })
        : lives(FLAG, found),
      'private-cow': lives(COPY_ON_WRITE, { observed: { verdict: 'RAM' } }),
      'no-slot-mmio': lives(NO_SLOT, {
        exits: {
          'mmio-write': writes,
          'mmio-read': count(`${SEARCHED} searched + ${isRom ? 2 : 3}`, SEARCHED + (isRom ? 2 : 3)),
        },
        slotOps: 0,
        observed: { verdict },
      }),
      // It puts the byte back when it finds RAM, so the ROM is none the worse.
      'writable-slot': lives(WRITABLE, { observed: { verdict: 'RAM' } }),
      'efault-skip': lives(SKIPS, { exits: { efault: 2 }, observed: { verdict: 'ROM' } }),
    });
  },
});
