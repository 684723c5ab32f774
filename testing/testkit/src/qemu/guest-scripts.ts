/** What the kernel needs to see disks, in the order in which it must be loaded: `virtio_ring` before `virtio`. */
export const guestModules = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
] as const

/** What it says when its shell listens. */
export const guestReadyWord = 'GUEST-READY'

/** The first process: makes what a shell needs, and becomes one. */
export const guestInit = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in ${guestModules.join(' ')}; do insmod /lib/$module.ko; done
stty -echo -onlcr
echo "${guestReadyWord}"
PS1= PS2= exec setsid cttyhack sh
`

/** Bytes of a block that the stamper writes. */
export const stampedBlockBytes = 4096

/** A stamp is this long, and fills its block over and over. */
export const stampBytes = 64

/** Blocks are written in steps of so many, so that one after the other lies elsewhere; a prime, so that all come by. */
export const stampStep = 7919

/**
 * Writes stamped blocks, one after the other, past all caches, until /tmp/stop-NAME is there. After each one /tmp/stamps-NAME says how many
 * are on the disk and how many hundredths of a second passed at most between two.
 * Arguments: the name, the device, how many blocks it has, the number of the first stamp.
 */
export const guestStamper = `#!/bin/sh
name=$1 device=$2 blocks=$3 number=$4
padded=$(printf '%-16s' "$name")
zeros=1000000000000000000
last=0 worst=0
# As few processes as may be: under emulation each takes milliseconds.
while [ ! -e /tmp/stop-$name ]; do
  block=$((number * ${stampStep} % blocks))
  numbered=$((zeros + number)) placed=$((zeros + block))
  stamp="$padded \${numbered#1} \${placed#1}${' '.repeat(9)}
"
  stamp=$stamp$stamp$stamp$stamp
  stamp=$stamp$stamp$stamp$stamp
  stamp=$stamp$stamp$stamp$stamp
  dd of=$device bs=${stampedBlockBytes} count=1 seek=$block iflag=fullblock oflag=direct conv=notrunc,fsync 2>/tmp/dd-$name <<END || { cp /tmp/dd-$name /tmp/failed-$name; exit 1; }
$stamp
END
  number=$((number + 1))
  read up idle </proc/uptime
  now=\${up%.*}\${up#*.}
  [ $last = 0 ] || [ $((now - last)) -le $worst ] || worst=$((now - last))
  last=$now
  echo "$number $worst" >/tmp/stamps-$name
done
`
