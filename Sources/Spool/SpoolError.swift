#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Why a spool does not do what it was asked.
public enum SpoolError: Error, Equatable, Sendable {
    /// Another process has the folder.
    case inUse
    /// The budget is used up. Nothing was kept; try again when records have been released.
    case full
    /// The disk or the quota is. Nothing was kept.
    case diskFull
    /// The operating system refused; `errno`. After a failed fsync nothing more is taken.
    case failed(Int32)
    case closed

    init(errno code: Int32) {
        self = code == ENOSPC || code == EDQUOT ? .diskFull : .failed(code)
    }
}

extension SpoolError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .inUse: "another process has the spool's folder"
        case .full: "the spool's budget is used up"
        case .diskFull: "the disk is full"
        case .failed(let code): String(cString: strerror(code))
        case .closed: "the spool is closed"
        }
    }
}
