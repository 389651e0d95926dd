/// Why a spool does not do what it was asked.
public enum SpoolError: Error, Equatable, Sendable {
    /// Another process has the folder.
    case inUse
    /// The budget is used up. Nothing was kept.
    case full
    /// The disk or the quota is. Nothing was kept.
    case diskFull
    /// The operating system refused; `errno`. After a failed fsync nothing more is taken.
    case failed(Int32)
    case closed
}
