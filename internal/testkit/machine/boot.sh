# Runs as process 1 of a new machine, in namespaces of its own, and becomes its systemd. The last thing that it waits
# for is the end of its standard input: then the network is there.
name=$1 lower=$2 disk=$3 cgroup=$4
root=$disk/root

mount --make-rprivate /
# A machine that goes on where another stopped is to have the same file system, with the same identity: that of the one
# below, where the kernel can do that (6.6).
layers=lowerdir=$lower,upperdir=$disk/upper,workdir=$disk/work
mount -t overlay -o "$layers,uuid=null" overlay "$root" 2>/dev/null || mount -t overlay -o "$layers" overlay "$root"

echo "$name" >"$root/etc/hostname"
hostname "$name"
[ -s "$root/etc/hosts" ] || printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$name" >"$root/etc/hosts"
[ -s "$root/etc/machine-id" ] || tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"

# What belongs to the whole kernel is shown, and not to be changed.
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"

# Nobody asks for passwords here, and a user of the whole kernel has no more than 128 inotify instances by default.
mkdir -p "$root/run/systemd/system"
for unit in systemd-ask-password-console.path systemd-ask-password-wall.path; do
	ln -s /dev/null "$root/run/systemd/system/$unit"
done

for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for n in 0 1 2; do ln -s "/proc/self/fd/$n" "$root/dev/$(echo stdin stdout stderr | cut -d ' ' -f $((n + 1)))"; done

echo 0 >"$cgroup/cgroup.procs"
cat # until the network is there
exec unshare --cgroup sh -euc '
	mount -t tmpfs -o mode=755 tmpfs "$1/sys/fs/cgroup"
	mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
	cd "$1"
	pivot_root . mnt
	exec setpriv --bounding-set=-sys_time,-sys_module chroot . sh -euc "umount -l /mnt
		exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd"
' boot "$root"
