import CArgon2
import Dispatch
import Domain
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Hashes and checks passwords with argon2id: 19 MiB, 2 passes, 1 lane (OWASP's figures), in PHC form.
///
/// A hash keeps a processor busy for tens of milliseconds, so this happens on a few threads of its own, behind a bounded
/// queue: a storm of sign-ins fills the queue and leaves the rest of the process alone.
public final class PasswordHasher: Sendable {
    private enum Cost {
        static let kibibytes: UInt32 = 19 * 1024
        static let passes: UInt32 = 2
        static let lanes: UInt32 = 1
        static let saltBytes = 16
        static let hashBytes = 32
    }

    /// argon2 could not do its work: no memory, or the stored hash is not one.
    public struct Failure: Error {
        let code: Int32
    }

    /// Of no password. Checked when there is no account, so that a wrong address takes as long as a wrong password.
    private static let decoy =
        "$argon2id$v=19$m=19456,t=2,p=1$YXR0dW5lLWRlY295LXNhbA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

    private let queue: JobQueue

    /// - Parameters:
    ///   - threads: how many hashes are worked on at once; each takes 19 MiB meanwhile. Half of the processors by default.
    ///   - waiting: how many more may wait. One more is told `rate_limited`.
    public init(threads: Int = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) / 2), waiting: Int = 64) {
        precondition(threads > 0 && waiting > 0)
        #if os(Linux)
        // Left alone, glibc learns from the first hash to keep 19 MiB of free memory for each thread.
        mallopt(M_MMAP_THRESHOLD, 8 << 20)
        mallopt(M_TRIM_THRESHOLD, 16 << 20)
        #endif
        queue = JobQueue(capacity: waiting)
        for number in 0..<threads {
            // A serial queue has a thread to itself for as long as it is busy, which is until the job queue is closed.
            DispatchQueue(label: "attune.password.\(number)").async { [queue] in
                #if os(Linux)
                // Chat goes first when the processors are short. On Linux this is the calling thread's priority alone.
                setpriority(__priority_which_t(UInt32(PRIO_PROCESS.rawValue)), 0, 10)
                #endif
                while let job = queue.next() { job() }
            }
        }
    }

    deinit {
        queue.close()
    }

    /// Throws `rate_limited` when too many are waiting.
    public func hash(_ password: Password) async throws -> String {
        try await perform {
            var generator = SystemRandomNumberGenerator()
            let salt = (0..<Cost.saltBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            let length = argon2_encodedlen(
                Cost.passes, Cost.kibibytes, Cost.lanes, UInt32(Cost.saltBytes), UInt32(Cost.hashBytes), Argon2_id)
            var encoded = [CChar](repeating: 0, count: length)
            let code = argon2id_hash_encoded(
                Cost.passes, Cost.kibibytes, Cost.lanes, password.bytes, password.bytes.count, salt, salt.count,
                Cost.hashBytes, &encoded, length)
            guard code == ARGON2_OK.rawValue else { throw Failure(code: code) }
            return String(decoding: encoded.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    /// Whether the password is the one that was hashed. Never, but in the same time, when there is no hash.
    ///
    /// Throws `rate_limited` when too many are waiting.
    public func verify(_ password: Password, against hash: String?) async throws -> Bool {
        try await perform {
            let code = argon2id_verify(hash ?? Self.decoy, password.bytes, password.bytes.count)
            switch code {
            case ARGON2_OK.rawValue: return hash != nil
            case ARGON2_VERIFY_MISMATCH.rawValue: return false
            default: throw Failure(code: code)
            }
        }
    }

    private func perform<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let isQueued = queue.append { continuation.resume(with: Result(catching: work)) }
            guard !isQueued else { return }
            continuation.resume(
                throwing: APIError(
                    .rateLimited, "Too many people are signing in just now. Try again in a moment.",
                    details: ["retryAfterSeconds": "1"]))
        }
    }
}

/// Work for threads that wait for it.
private final class JobQueue: Sendable {
    typealias Job = @Sendable () -> Void

    private struct State {
        var jobs: [Job] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let capacity: Int
    /// One signal for each job, and from `close` on one for each thread that asks.
    private let signals = DispatchSemaphore(value: 0)

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// - Returns: false when the queue is full or closed; the job will not run.
    func append(_ job: @escaping Job) -> Bool {
        let isAccepted = state.withLock { state in
            guard !state.isClosed, state.jobs.count < capacity else { return false }
            state.jobs.append(job)
            return true
        }
        if isAccepted { signals.signal() }
        return isAccepted
    }

    /// Waits for the next job; nil when the queue is closed and empty.
    func next() -> Job? {
        signals.wait()
        let job = state.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }
        // What woke us was `close`; pass it on to the next thread.
        if job == nil { signals.signal() }
        return job
    }

    func close() {
        state.withLock { $0.isClosed = true }
        signals.signal()
    }
}
