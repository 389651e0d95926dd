import Glibc

extension UnsafeRawBufferPointer {
    /// Where `text` stands for the first time, from `start` on. (`memmem` is no part of Swift's Glibc.)
    func firstOffset(of text: StaticString, from start: Int = 0) -> Int? {
        guard let base = baseAddress else { return nil }
        let length = text.utf8CodeUnitCount
        var offset = start
        while offset + length <= count {
            guard let found = memchr(base + offset, Int32(text.utf8Start.pointee), count - length + 1 - offset) else { return nil }
            offset = UnsafeRawPointer(found) - base
            if memcmp(base + offset, text.utf8Start, length) == 0 { return offset }
            offset += 1
        }
        return nil
    }
}
