// Package squashfs writes squashfs 4.0 images of directory trees, reads them back, and rebuilds an
// image from the one before, in the time that it takes to look at every file and to copy what is
// kept.
//
// [Build] makes an image. It holds all that squashfs can: files of any size with their holes,
// directories, symbolic and hard links, devices, fifos, sockets, owners, modes, times and extended
// attributes. The blocks are compressed by zstd, gzip or lz4, on all cores, in memory that does not
// grow with the tree's bytes.
//
//	out, err := os.Create("root.img.new")
//	index := new(bytes.Buffer)
//	result, err := squashfs.Build(ctx, out, "/srv/root", squashfs.Options{Index: index})
//
// Given that image and index as [Options].Previous, the next Build reads only files that may have
// changed:
//
//	options.Previous = &squashfs.Previous{Image: old, Index: oldIndex}
//	result, err = squashfs.Build(ctx, out, "/srv/root", options)
//
// The result says whether the image would be the same one again; then there is nothing to put in
// its place. Syncing files, and renaming them to where they belong, is the caller's.
//
// [Open] makes a [Reader], which walks through an image, reads files out of it and checks it;
// [DiffImages] and [DiffTree] compare images with each other and with trees.
//
// What the package will not do: write into the tree, follow a symbolic link out of it, or a mount
// unless it is told to, append to an image in place, store ACLs, or read images of other versions
// of squashfs.
//
// # One tree, one image
//
// An image is a pure function of the tree and the options. The same tree gives the same bytes on
// one core or on many, on whatever file system it is, in whatever order its files were made, and
// whether it was built clean or upon another image. So two machines can make the same image without
// talking to each other, whether anything has changed is a question with an exact answer, and the
// shortcut of building upon the image before can be tested against doing without. These rules make
// it so:
//
//   - Inodes, data and listings follow one order: depth first, names bytewise within a directory,
//     so that all of a/ comes before a-b. The first name of a file with several, and the first of
//     several equal files, stands for all.
//   - A block of zeros is left out wherever it is, whether or not the tree's file system stored it.
//   - Link counts count names inside the image.
//   - The superblock's time is [Options].Time or the newest mtime in the image. It stands in for
//     the mtime of a directory some of whose contents are excluded, because that moves with things
//     that are not in the image, and of a mount point.
//   - Extended attributes are sorted by name. What belongs to the host or cannot be stored is left
//     out: security.selinux, system.* and with it ACLs, about which [Options].Warn is told.
//   - The encoders' output is an input. A number, raised whenever a test finds that a library's
//     release gives other bytes, keeps an image from being built upon one with other bytes.
//
// # Layout
//
// A region is a stretch of the image that one file, or one group of small files, alone decides.
// Regions are copied from image to image as they are, wherever they come to stand: nothing in a
// squashfs data block depends on its position. The layout is chosen so that a change reaches few of
// them:
//
//   - A file of a block or more has all its blocks to itself, the last one shorter than the others.
//     Packing the ends of large files together with small files, as mksquashfs
//     -always-use-fragments does, saves nothing on a Debian desktop (0.05 % more, in fact: the ends
//     compress worse among strangers), costs the reader a second block, and makes a change in a
//     large file reach its neighbours.
//   - Smaller files are compressed in groups, in the order of the tree. A group ends when the next
//     file would not fit into a block. If that were all, one file that grows would move every later
//     group's end in the image. So a group also ends behind each file whose path has a certain
//     hash, one in 32: there, the groups fall into step again. That costs less than 0.1 % in size.
//   - A group stands behind the files that are in it. Nothing refers to a group that is still to
//     come, and a directory's files are near one another.
//   - Equal files are stored once. Files are hashed only if another one has the same size: about a
//     tenth of the bytes of a desktop.
//
// Tables are always made anew. They are small: less than 1 MB for 35,000 entries.
//
// # What a file system says
//
// Names are joined as hard links if all of their stat agrees. Not every file system gives each file
// a number of its own: an overlay of two btrfs subvolumes repeats them, and so do virtiofs, 9p and
// some FUSE file systems. So where the numbers are not known to be unique, and where two names
// share a number and differ in anything else, the content decides, too. Nor does every file system
// report its holes right. What is believed of which one is in tree_volumes.go.
//
// # What may have changed
//
// The index remembers size, mtime and ctime in nanoseconds and number of every inode, and the
// identity of each file system in the tree. A file is taken over only if all are as they were. The
// mtime alone would not do, because anybody can set it and package managers do. Nor does an equal
// ctime say that nothing has changed since, if the change fell into the same tick of the kernel's
// clock as the scan. So Build first asks each file system for its own time, by making a nameless
// file on it, and trusts only what is older. Where a ctime is no more than an mtime, as on squashfs
// and vfat, nothing is trusted, and so is nothing whose number something else has as well. A file
// that fails, but whose hash is known, is read and hashed; if it proves to be the same, its data is
// taken over still. Files moved to another disk are found so, too, where they were hashed.
//
// Every region carries a CRC-32C from the day when it was compressed. It is handed on from index to
// index, and each region is compared with it while it is copied, so that a bit that flips on a disk
// does not spread: the image is built clean then, and [Result] says so. The index is only an aid.
// It has its own checksum, and holds one digest over the image's superblock, its tables and the
// digests of all regions, which names the image. Whatever does not fit means a clean build, never a
// wrong image.
//
// # Trees that change
//
// A file is opened below its directory, without following links, and its stat is compared with what
// the walk has seen before and after it is read. If anything is different, Build begins anew, and
// reads the files that keep changing in one go while it walks. After five attempts it gives up,
// with an error that names the file.
//
// # Files
//
// build.go holds Build and its options, the files tree_*.go read a tree from disk, writer_*.go make
// an image of it, reader_*.go read and check one. previous.go and index*.go are about the image
// that a build starts from, diff*.go compare. format.go has the structures on disk that all of
// these share.
package squashfs
