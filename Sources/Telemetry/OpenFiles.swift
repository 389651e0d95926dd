#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Lets this process open as many files and sockets as the operating system permits; many systems begin with 1024.
///
/// - Returns: how many that are.
public func raiseOpenFileLimit() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
    var raised = limit
    raised.rlim_cur = limit.rlim_max
    if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
    return Int(clamping: limit.rlim_cur)
}
