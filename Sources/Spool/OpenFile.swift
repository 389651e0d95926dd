#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// An open file or folder, closed with the last reference.
final class OpenFile: Sendable {
    private let descriptor: Int32

    init(_ path: String, flags: Int32) throws(SpoolError) {
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError(errno: errno) }
    }

    deinit {
        close(descriptor)
    }

    func size() throws(SpoolError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SpoolError(errno: errno) }
        return Int(status.st_size)
    }

    /// Reads from `offset` on, fewer bytes only where the file ends.
    func read(upTo count: Int, at offset: Int) throws(SpoolError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let step = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
                if step < 0, errno == EINTR { continue }
                if step < 0 { failure = errno }
                guard step > 0 else { return }
                filled += step
            }
        }
        guard failure == 0 else { throw SpoolError(errno: failure) }
        return bytes
    }

    /// Writes all the bytes. When it throws, some may have been written.
    func write(_ bytes: [UInt8], at offset: Int) throws(SpoolError) {
        let failure = bytes.withUnsafeBytes { buffer -> Int32 in
            var written = 0
            while written < buffer.count {
                let step = pwrite(descriptor, buffer.baseAddress! + written, buffer.count - written, off_t(offset + written))
                if step < 0, errno == EINTR { continue }
                if step < 0 { return errno }
                written += step
            }
            return 0
        }
        guard failure == 0 else { throw SpoolError(errno: failure) }
    }

    func truncate(to size: Int) throws(SpoolError) {
        while ftruncate(descriptor, off_t(size)) != 0 {
            guard errno == EINTR else { throw SpoolError(errno: errno) }
        }
    }

    /// Returns when the content, of a folder its names, is on the disk. After a failure nothing is known of it, and asking again
    /// would not tell.
    func synchronize() throws(SpoolError) {
        #if canImport(Glibc)
        let result = fdatasync(descriptor)
        #else
        let result = fcntl(descriptor, F_FULLFSYNC)
        #endif
        guard result == 0 else { throw SpoolError(errno: errno) }
    }
}
