import Foundation
import Logging
import Postgres
import ServiceLifecycle
import Spool

/// Delivers the spools of processes that do not run any more: of API workers that were stopped for good, of imports that were
/// killed.
///
/// A spool is taken for some seconds at a time, so that a worker that starts again has not long to wait for its own.
public struct SpoolAdoption: Service {
    private let folders: SpoolFolders
    private let client: PostgresClient
    private let interval: Duration
    private let logger: Logger

    /// How long other processes may have to wait for a spool.
    private static let turn = Duration.seconds(5)

    /// - Parameter client: two connections of its leases are used.
    public init(folders: SpoolFolders, client: PostgresClient, interval: Duration = .seconds(10), logger: Logger) {
        self.folders = folders
        self.client = client
        self.interval = interval
        self.logger = logger
    }

    /// Looks for such spools now and then, until graceful shutdown or cancellation.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var empty: [String: FolderState] = [:]
            while !Task.isCancelled {
                for folder in folders.all where empty[folder] != FolderState(folder) {
                    empty[folder] = await deliver(folder) ? FolderState(folder) : nil
                }
                try? await Task.sleep(for: interval)
            }
        }
    }

    /// Whether all that was in the folder is stored now.
    private func deliver(_ folder: String) async -> Bool {
        do {
            // Not one that is being made, or removed.
            guard FileManager.default.fileExists(atPath: folder + "/identity") else { return false }
            // A process that uses its spool, this one for instance, has it locked.
            let spool = try await EventSpool.open(folder: folder, patience: .zero, logger: logger)
            defer { spool.close() }
            guard spool.spool.end > spool.backlog.lowerBound else { return true }
            logger.info("delivering the spool of a process that has ended", metadata: ["folder": "\(folder)"])
            let delivery = EventDelivery(
                spool, client: client, configuration: EventDelivery.Configuration(), metrics: nil, logger: logger)
            try await withTimeLimit(Self.turn) { try await delivery.attempt(until: .empty) }
            return true
        } catch SpoolError.inUse {
            return false
        } catch is CancellationError {
            return false
        } catch let error as PostgresError where error.isUnavailability {
            // The delivery of this process's own spool says so.
            return false
        } catch {
            logger.warning(
                "cannot deliver the spool of a process that has ended",
                metadata: ["folder": "\(folder)", "error": "\(error)"])
            return false
        }
    }

    private func withTimeLimit(_ limit: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await Task.sleep(for: limit)
                throw CancellationError()
            }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// Changes with every record that is written to a folder's spool.
private struct FolderState: Equatable {
    private let sizes: [String: Int]

    init(_ folder: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        sizes = Dictionary(uniqueKeysWithValues: names.map { name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)
            return (name, attributes?[.size] as? Int ?? 0)
        })
    }
}
