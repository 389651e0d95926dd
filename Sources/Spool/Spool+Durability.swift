extension Spool {
    /// Returns when all records before `position` survive a power failure. One fdatasync serves all who wait.
    ///
    /// Cancelling the task does not shorten the wait, which is that of the disk: the answer always tells what is so.
    public func waitUntilDurable(_ position: UInt64) async throws(SpoolError) {
        let result = await withCheckedContinuation { continuation in
            let known: Result<Void, SpoolError>? = state.withLock { state in
                if state.durableEnd >= position { return .success(()) }
                if let failure = state.failure { return .failure(failure) }
                state.durabilityWaiters.append(DurabilityWaiter(position: position, continuation: continuation))
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
        try result.get()
    }

    /// Waits for a durable record at `position`.
    ///
    /// - Returns: false when the task was cancelled, or the spool is closed or has failed, before there was one.
    public func waitForRecords(from position: UInt64) async -> Bool {
        let waiter = state.withLock { state in
            defer { state.nextRecordWaiter += 1 }
            return state.nextRecordWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known: Bool? = state.withLock { state in
                    if state.failure == .closed { return false }
                    if state.durableEnd > position { return true }
                    // A later cancellation finds the waiter: its handler has to wait for this lock.
                    if state.failure != nil || Task.isCancelled { return false }
                    state.recordWaiters[waiter] = RecordWaiter(position: position, continuation: continuation)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            state.withLock { $0.recordWaiters.removeValue(forKey: waiter) }?.continuation.resume(returning: false)
        }
    }

    /// Runs on the queue until there is nothing left to make durable.
    func synchronizeAll() {
        while isMoreToSynchronize() {
            // A failure is in `state` then, which ends this.
            try? synchronize()
        }
    }

    private func isMoreToSynchronize() -> Bool {
        state.withLock { state in
            state.isSynchronizing = state.failure == nil && state.durableEnd < state.end
            return state.isSynchronizing
        }
    }

    /// Makes all records durable that are there now, and tells those who wait. After a failure the kernel may have dropped what
    /// it could not write, and would report success at the next attempt: so there is none, ever.
    func synchronize() throws(SpoolError) {
        try synchronizing.withLock { _ throws(SpoolError) in
            // Older segments have been durable since this one was begun.
            let (file, end) = try state.withLock { state throws(SpoolError) in
                (state.newestFile, try state.checked().end)
            }
            guard durableEnd < end else { return }
            do throws(SpoolError) {
                try file.synchronize()
            } catch {
                fail(error, "cannot make the spool durable")
                throw error
            }
            let (durability, records) = state.withLock { state in
                state.durableEnd = end
                let durability = state.durabilityWaiters.filter { $0.position <= end }
                if !durability.isEmpty { state.durabilityWaiters.removeAll { $0.position <= end } }
                let records = state.recordWaiters.filter { $0.value.position < end }
                for waiter in records.keys { state.recordWaiters[waiter] = nil }
                return (durability, records)
            }
            for waiter in durability { waiter.continuation.resume(returning: .success(())) }
            for waiter in records.values { waiter.continuation.resume(returning: true) }
        }
    }
}
