import Metrics
import Postgres

extension EventDelivery {
    private enum Method { case copying, merging }

    /// Stores a batch when the one before it is stored, however many transactions that takes.
    func store(_ batch: DeliveryBatch, after before: Turn) async throws {
        do {
            try await commit(batch, by: .copying, after: before)
        } catch {
            guard let refusal = Refusal(error, of: batch, whenMerging: false) else { throw error }
            try await before.wait()
            try await store(batch, despite: refusal)
        }
    }

    private func store(_ batch: DeliveryBatch, despite refusal: Refusal) async throws {
        switch refusal {
        case .duplicates:
            try await store(batch, by: .merging)
        case .poison(let reason) where batch.events.count == 1:
            noteRefusal(reason)
            try await store(batch.refused(for: reason), by: .copying)
        case .poison:
            for half in batch.halves { try await store(half, by: .copying) }
        }
    }

    private func store(_ batch: DeliveryBatch, by method: Method) async throws {
        do {
            try await commit(batch, by: method, after: nil)
        } catch {
            guard let refusal = Refusal(error, of: batch, whenMerging: method == .merging) else { throw error }
            try await store(batch, despite: refusal)
        }
    }

    /// Stores a batch in one transaction.
    private func commit(_ batch: DeliveryBatch, by method: Method, after before: Turn?) async throws {
        var duration = Duration.zero
        var began = ContinuousClock.now
        do {
            let (outcome, ledger) = try await client.withTransaction { transaction in
                let stored: PerInput<Int>
                switch method {
                case .copying:
                    try await DeliveryStatements.copy(batch, in: transaction)
                    stored = batch.eventCounts
                case .merging:
                    stored = try await DeliveryStatements.merge(batch, in: transaction)
                }
                duration += ContinuousClock.now - began
                try await before?.wait()
                began = .now
                try await spool.deadLetters.append(batch.deadLetters)
                let outcome = batch.outcome(stored: stored)
                let ledger = spool.ledger.snapshot(after: outcome)
                spool.position.withLock { $0.highest = batch.positions.upperBound }
                let moved = try await transaction.execute(DeliveryStatements.move(spoolID, batch.positions, ledger))
                guard moved.affectedRows > 0 else { throw PositionMoved() }
                return (outcome, ledger)
            }
            duration += ContinuousClock.now - began
            finish(batch, outcome, ledger, duration)
        } catch {
            giveWay(to: error, batch)
            throw error
        }
    }

    private func finish(_ batch: DeliveryBatch, _ outcome: PerInput<LedgerCounts>, _ ledger: LedgerSnapshot, _ duration: Duration) {
        spool.ledger.settle(outcome)
        spool.position.withLock { $0.known = batch.positions.upperBound }
        progress.withLock { progress in
            progress.ledger = ledger
            progress.batchSize.note(batch.count, took: duration)
            if outcome[nil].received > 0 { progress.hasLost = true }
        }
        noteSuccess()
        spool.release(before: batch.positions.upperBound, counts: spool.ledger.settled)
        metrics?.batchDuration.recordNanoseconds(duration.wholeNanoseconds)
    }

    private func giveWay(to error: any Error, _ batch: DeliveryBatch) {
        guard let error = error as? PostgresError else { return }
        progress.withLock { progress in
            if error.isContention { progress.alone = max(progress.alone, batch.positions.upperBound) }
            if error.kind == .timedOut { progress.batchSize.noteTimeout() }
        }
    }

    /// There is nothing to deliver. What the ledger has learnt since the last batch is written too.
    func settleLedger(at position: UInt64) async throws {
        spool.releaseRest()
        guard spool.spool.end == position else { return }
        let hadLost = progress.withLock { progress in
            defer { progress.hasLost = false }
            return progress.hasLost
        }
        if hadLost { spool.ledger.noteEmptySpool() }
        let ledger = spool.ledger.snapshot()
        if !ledger.lines.isEmpty, progress.withLock({ $0.ledger != ledger }) {
            let moved = try await client.write(DeliveryStatements.move(spoolID, position..<position, ledger))
            guard moved.affectedRows > 0 else { throw PositionMoved() }
            progress.withLock { $0.ledger = ledger }
        }
        noteSuccess()
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
