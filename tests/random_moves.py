"""Random single ops that only put bytes elsewhere."""

import numpy as np
from file_builder import Draws

TYPES = {"int8": 0.5, "int16": 0.25, "float32": None, "int32": None}


class Moves(Draws):
    """One method a kind; each gives a packed model."""

    def plain(self, shape: tuple[int, ...], dtype: str = "int8", **options) -> int:
        scale = TYPES[dtype]
        if scale is not None:
            options = {"scale": scale, "zero_point": self.zero_point() if dtype == "int8" else 0} | options
        return self.file.tensor(shape, dtype=dtype, **options)

    def like(self, source: int, shape: tuple[int, ...]) -> int:
        """A tensor of another shape and the same type and quantisation."""
        index = self.file.tensor(shape)
        self.file.tensors[index].type = self.file.tensors[source].type
        self.file.tensors[index].quantization = self.file.tensors[source].quantization
        return index

    def numbers(self, values, shape=None) -> int:
        data = np.array(values, np.int32)
        return self.file.tensor(data.shape if shape is None else shape, dtype="int32", data=data)

    def shape_of(self, rank: int, largest: int = 6) -> tuple[int, ...]:
        return tuple(self.integer(1, largest) for _ in range(rank))

    def transpose(self) -> bytes:
        shape = self.shape_of(self.integer(1, 5))
        order = self.rng.permutation(len(shape)).tolist()
        source = self.plain(shape, self.pick("int8", "int8", "int16", "float32"))
        target = self.like(source, tuple(shape[axis] for axis in order))
        self.file.op("TRANSPOSE", [source, self.numbers(order)], [target], "TransposeOptions")
        return self.file.pack([source], [target])

    def strided_slice(self) -> bytes:
        shape = self.shape_of(self.integer(1, 4), 7)
        source = self.plain(shape, self.pick("int8", "int8", "int16", "float32", "int32"))
        while True:
            begin, end = ([self.integer(-size - 1, size + 1) for size in shape] for _ in range(2))
            strides = [self.pick(1, 1, 2, 3, -1, -2) for _ in shape]
            masks = [self.integer(0, 15) if self.rng.random() < 0.4 else 0 for _ in range(2)]
            shrink = self.integer(0, 15) if self.rng.random() < 0.3 else 0
            out, fine = [], True
            for axis, size in enumerate(shape):
                if shrink & (1 << axis):
                    strides[axis] = 1
                    fine &= -size <= begin[axis] < size and not masks[0] & (1 << axis)
                    continue
                part = slice(
                    None if masks[0] & (1 << axis) else begin[axis],
                    None if masks[1] & (1 << axis) else end[axis],
                    strides[axis],
                )
                out.append(len(range(size)[part]))
            if fine and 0 not in out:
                break
        target = self.like(source, tuple(out))
        tables = [self.numbers(values) for values in (begin, end, strides)]
        options = {"beginMask": masks[0], "endMask": masks[1], "shrinkAxisMask": shrink}
        self.file.op("STRIDED_SLICE", [source, *tables], [target], "StridedSliceOptions", **options)
        return self.file.pack([source], [target])

    def slice(self) -> bytes:
        shape = self.shape_of(self.integer(1, 5))
        begin = [self.integer(0, size - 1) for size in shape]
        counts = [self.integer(1, size - first) for first, size in zip(begin, shape, strict=True)]
        told = [
            -1 if first + count == size and self.integer(0, 1) else count
            for first, count, size in zip(begin, counts, shape, strict=True)
        ]
        source = self.plain(shape, self.pick("int8", "int8", "int16", "float32", "int32"))
        target = self.like(source, tuple(counts))
        self.file.op("SLICE", [source, self.numbers(begin), self.numbers(told)], [target], "SliceOptions")
        return self.file.pack([source], [target])

    def split(self) -> bytes:
        shape = list(self.shape_of(self.integer(1, 4)))
        axis = self.integer(-len(shape), len(shape) - 1)
        count = self.integer(1, 4)
        if self.integer(0, 1):
            shape[axis] *= count
            sizes = [shape[axis] // count] * count
        else:
            sizes = [self.integer(1, 4) for _ in range(count)]
            shape[axis] = sum(sizes)
        source = self.plain(tuple(shape), self.pick("int8", "int8", "int16", "float32"))
        targets = []
        for size in sizes:
            piece = list(shape)
            piece[axis] = size
            targets.append(self.like(source, tuple(piece)))
        where = self.numbers(axis, ()) if self.integer(0, 1) else self.numbers([axis])
        if len(set(sizes)) == 1 and self.integer(0, 1):
            self.file.op("SPLIT", [where, source], targets, "SplitOptions", numSplits=count)
        else:
            told = self.numbers([*sizes[:-1], -1] if self.integer(0, 1) else sizes)
            self.file.op("SPLIT_V", [source, told, where], targets, "SplitVOptions", numSplits=count)
        return self.file.pack([source], targets)

    def pack(self) -> bytes:
        shape = self.shape_of(self.integer(1, 3))
        count = self.integer(1, 4)
        axis = self.integer(-len(shape) - 1, len(shape))
        full = list(shape)
        full.insert(axis % (len(shape) + 1), count)
        dtype = self.pick("int8", "int8", "float32", "int32")
        if self.integer(0, 1):
            source = self.plain(tuple(full), dtype)
            targets = [self.like(source, shape) for _ in range(count)]
            self.file.op("UNPACK", [source], targets, "UnpackOptions", num=count, axis=axis)
            return self.file.pack([source], targets)
        constant = self.integer(0, count - 1) if count > 1 and self.integer(0, 1) and dtype == "int8" else None
        sources = [self.plain(shape, dtype, data=self.weights(shape) if i == constant else None) for i in range(count)]
        target = self.like(sources[0], tuple(full))
        self.file.op("PACK", sources, [target], "PackOptions", valuesCount=count, axis=axis)
        return self.file.pack([tensor for i, tensor in enumerate(sources) if i != constant], [target])

    def depth_blocks(self) -> bytes:
        block, depth = self.integer(1, 3), self.integer(1, 5)
        batch, height, width = self.pick(1, 1, 2), self.integer(1, 4), self.integer(1, 4)
        wide, deep = (batch, height * block, width * block, depth), (batch, height, width, depth * block * block)
        name = self.pick("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
        shapes = (wide, deep) if name == "SPACE_TO_DEPTH" else (deep, wide)
        source = self.plain(shapes[0], self.pick("int8", "int8", "float32"))
        target = self.like(source, shapes[1])
        kind = "SpaceToDepthOptions" if name == "SPACE_TO_DEPTH" else "DepthToSpaceOptions"
        self.file.op(name, [source], [target], kind, blockSize=block)
        return self.file.pack([source], [target])

    def batch_blocks(self) -> bytes:
        """Margins only on the way back: TensorFlow Lite Micro pads with memory that nobody has set."""
        return self.blocked(to_batch=bool(self.integer(0, 1)), largest=0)

    def cropped_blocks(self) -> bytes:
        return self.blocked(to_batch=False, largest=3)

    def padded_blocks(self) -> bytes:
        return self.blocked(to_batch=True, largest=3)

    def blocked(self, *, to_batch: bool, largest: int) -> bytes:
        rank = self.pick(3, 4, 4)
        block = [self.integer(1, 3) for _ in range(rank - 2)]
        batch, depth = self.pick(1, 1, 2), self.integer(1, 4)
        small = [self.integer(1, 4) for _ in block]
        margins = []
        for size, step in zip(small, block, strict=True):
            before = self.integer(0, min(size * step - 1, largest))
            margins.append([before, self.integer(0, min(size * step - 1 - before, largest))])
        one = [size * step - sum(pair) for size, step, pair in zip(small, block, margins, strict=True)]
        shapes = ((batch, *one, depth), (batch * int(np.prod(block)), *small, depth))
        name, kind = "SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions"
        if not to_batch:
            name, kind, shapes = "BATCH_TO_SPACE_ND", "BatchToSpaceNDOptions", shapes[::-1]
        source = self.plain(shapes[0], self.pick("int8", "int8", "float32"))
        target = self.like(source, shapes[1])
        self.file.op(name, [source, self.numbers(block), self.numbers(margins)], [target], kind)
        return self.file.pack([source], [target])

    def gather(self) -> bytes:
        shape = self.shape_of(self.integer(1, 4))
        axis = self.integer(0, len(shape) - 1)
        batch_dims = self.integer(0, axis) if self.rng.random() < 0.3 else 0
        counts = shape[:batch_dims] + self.shape_of(self.integer(0, 2), 4)
        source = self.plain(shape, self.pick("int8", "int8", "float32"))
        positions = self.file.tensor(counts, dtype="int32", data=self.rng.integers(0, shape[axis], counts, np.int32))
        target = self.like(source, shape[:axis] + counts[batch_dims:] + shape[axis + 1 :])
        told = axis - len(shape) if self.integer(0, 1) else axis
        self.file.op("GATHER", [source, positions], [target], "GatherOptions", axis=told, batchDims=batch_dims)
        return self.file.pack([source], [target])

    def gather_computed(self) -> bytes:
        """Positions that another op computes."""
        rows, depth = self.integer(2, 6), self.integer(1, 5)
        scores = self.plain((3, rows))
        source = self.plain((rows, depth))
        positions = self.file.tensor((3,), dtype="int32")
        self.file.op("ARG_MAX", [scores, self.numbers(1, ())], [positions], "ArgMaxOptions", outputType=2)
        target = self.like(source, (3, depth))
        self.file.op("GATHER", [source, positions], [target], "GatherOptions", axis=0)
        return self.file.pack([scores, source], [target])

    def mirror_pad(self) -> bytes:
        shape = self.shape_of(self.integer(1, 4))
        mode = self.integer(0, 1)
        skipped = 1 if mode == 0 else 0
        margins = [[self.integer(0, min(3, size - skipped)) for _ in range(2)] for size in shape]
        source = self.plain(shape, self.pick("int8", "int8", "float32"))
        target = self.like(source, tuple(size + sum(pair) for size, pair in zip(shape, margins, strict=True)))
        self.file.op("MIRROR_PAD", [source, self.numbers(margins)], [target], "MirrorPadOptions", mode=mode)
        return self.file.pack([source], [target])

    def resize_nearest(self) -> bytes:
        return self.resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", "int8", "int8", "int16")

    def resized(self, name: str, kind: str, *types: str) -> bytes:
        shape = (self.pick(1, 1, 2), *self.image())
        size = [self.integer(1, 13), self.integer(1, 13)]
        align, centres = self.pick((False, False), (True, False), (False, True))
        source = self.plain(shape, self.pick(*types))
        target = self.like(source, (shape[0], *size, shape[3]))
        options = {"alignCorners": align, "halfPixelCenters": centres}
        self.file.op(name, [source, self.numbers(size)], [target], kind, **options)
        return self.file.pack([source], [target])

    def known_shape(self) -> bytes:
        """What Keras makes of Flatten without a fixed batch: arithmetic on shapes that nothing at run time decides."""
        shape = (self.pick(1, 1, 2), *self.image())
        source = self.plain(shape)
        told = self.file.tensor((4,), dtype="int32")
        batch = self.file.tensor((), dtype="int32")
        packed = self.file.tensor((2,), dtype="int32")
        target = self.like(source, (shape[0], int(np.prod(shape[1:]))))
        self.file.op("SHAPE", [source], [told], "ShapeOptions", outType=2)
        tables = [self.numbers([value]) for value in (0, 1, 1)]
        self.file.op("STRIDED_SLICE", [told, *tables], [batch], "StridedSliceOptions", shrinkAxisMask=1)
        self.file.op("PACK", [batch, self.numbers(-1, ())], [packed], "PackOptions", valuesCount=2)
        self.file.op("RESHAPE", [source, packed], [target], "ReshapeOptions")
        return self.file.pack([source], [target])
