package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression is the compressor of an image, by its number in the superblock.
type Compression uint16

const (
	Gzip Compression = 1 // the zlib format, RFC 1950, whatever the name says
	LZ4  Compression = 5 // one raw LZ4 block
	Zstd Compression = 6 // RFC 8878; Linux 4.14 and later
)

var compressionNames = map[Compression]string{Gzip: "gzip", LZ4: "lz4", Zstd: "zstd"}

func (c Compression) String() string {
	if name, ok := compressionNames[c]; ok {
		return name
	}
	return fmt.Sprintf("compression %d", uint16(c))
}

// ParseCompression takes "zstd", "gzip" or "lz4".
func ParseCompression(name string) (Compression, error) {
	for c, n := range compressionNames {
		if n == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("unknown compression %q: use zstd, gzip, lz4", name)
}

// encoderNumber stands for the exact bytes that the encoders below give. It is raised whenever the
// golden test shows that a release of a library, or a change here, gives others: an image made
// under another number is not built upon.
const encoderNumber = 1

// The levels, chosen for speed near that of mksquashfs at zstd level 3, and for about its size.
const (
	zstdLevel = zstd.SpeedDefault
	gzipLevel = 7
)

// An encoder compresses blocks one by one, each for itself. It is not for concurrent use.
type encoder interface {
	// encode appends the compressed form of src, which is not empty, to dst. The result may be
	// longer than src, and is then of no use: the caller stores src instead.
	encode(dst, src []byte) ([]byte, error)
}

func newEncoder(c Compression, blockSize int) (encoder, error) {
	switch c {
	case Zstd:
		// Linux sizes its window by the image's block size, so no frame may ask for more.
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(blockSize), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
		return zstdEncoder{e}, err
	case Gzip:
		w, err := zlib.NewWriterLevel(io.Discard, gzipLevel)
		return gzipEncoder{w}, err
	case LZ4:
		return new(lz4Encoder), nil
	}
	return nil, fmt.Errorf("cannot write %v", c)
}

type zstdEncoder struct{ *zstd.Encoder }

func (e zstdEncoder) encode(dst, src []byte) ([]byte, error) { return e.EncodeAll(src, dst), nil }

type gzipEncoder struct{ *zlib.Writer }

func (e gzipEncoder) encode(dst, src []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	e.Reset(out)
	if _, err := e.Write(src); err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

type lz4Encoder struct{ lz4.Compressor }

func (e *lz4Encoder) encode(dst, src []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, make([]byte, lz4.CompressBlockBound(len(src)))...)
	n, err := e.CompressBlock(src, dst[start:])
	if err != nil {
		return nil, err
	}
	if n == 0 { // not compressible
		n = len(src)
	}
	return dst[:start+n], nil
}

// A decoder expands blocks one by one. It is not for concurrent use.
type decoder interface {
	// decode expands src into dst and returns the number of bytes. What would be longer than dst is
	// an error.
	decode(dst, src []byte) (int, error)
}

func newDecoder(c Compression) (decoder, error) {
	switch c {
	case Zstd:
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxBlockSize), zstd.WithDecodeAllCapLimit(true))
		return zstdDecoder{d}, err
	case Gzip:
		return new(gzipDecoder), nil
	case LZ4:
		return lz4Decoder{}, nil
	}
	return nil, fmt.Errorf("cannot read %v", c)
}

type zstdDecoder struct{ *zstd.Decoder }

func (d zstdDecoder) decode(dst, src []byte) (int, error) {
	out, err := d.DecodeAll(src, dst[:0:len(dst)])
	if err == nil && len(out) > len(dst) {
		err = errTooLong
	}
	return len(out), err
}

type gzipDecoder struct {
	src bytes.Reader
	zr  io.ReadCloser
}

func (d *gzipDecoder) decode(dst, src []byte) (n int, err error) {
	d.src.Reset(src)
	if d.zr == nil {
		d.zr, err = zlib.NewReader(&d.src)
	} else {
		err = d.zr.(zlib.Resetter).Reset(&d.src, nil)
	}
	var more [1]byte // also reads, and so checks, the checksum behind the data
	for err == nil {
		b := dst[n:]
		if len(b) == 0 {
			b = more[:]
		}
		var k int
		k, err = d.zr.Read(b)
		if n += k; n > len(dst) {
			return len(dst), errTooLong
		}
	}
	if err == io.EOF { // the stream's end; input that is cut off is another error
		err = nil
	}
	return n, err
}

type lz4Decoder struct{}

func (lz4Decoder) decode(dst, src []byte) (int, error) { return lz4.UncompressBlock(src, dst) }

var errTooLong = errors.New("block expands to more than its size")
