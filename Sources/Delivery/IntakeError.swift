import Spool

/// Why events were not taken. None of the batch was.
public enum IntakeError: Error, Equatable, Sendable {
    /// The spool's budget or its disk is used up. There will be room when PostgreSQL has caught up, or somebody has made some:
    /// the sender should try again later, and who reads from a connection should stop reading meanwhile.
    case full
    /// The disk fails. Nothing more is taken until the process is started again.
    case failed
    case closed

    init(_ error: SpoolError) {
        switch error {
        case .full, .diskFull: self = .full
        case .failed, .inUse: self = .failed
        case .closed: self = .closed
        }
    }
}
