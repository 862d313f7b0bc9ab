import DormouseCache
import DormouseKernels
import DormouseSupport

/// The document of `dormouse_engine_statistics`; docs/configuration.md lists its members.
extension Engine {
  /// What the engine does and has done, as a JSON object.
  /// - Throws: `Failure(.unsupported)` without weights.
  public func statistics() throws(Failure) -> JSON {
    let runtime = try requireRuntime()
    let scheduler = runtime.scheduler.statistics
    var caches = JSONObject()
    for (type, store) in runtime.stores.all { caches[type.rawValue] = store.statistics }
    return [
      "sessions": scheduler.sessions, "steps": scheduler.stepCounts,
      "tokens": ["prompt": .size(scheduler.promptTokens), "generated": .size(scheduler.generatedTokens)],
      "seconds": scheduler.seconds, "cache": .object(caches),
      "memory": [
        "used": .integer(Int64(clamping: memoryBudget.usedByteCount)),
        "peak": .integer(Int64(clamping: memoryBudget.peakByteCount)),
      ],
    ]
  }
}

extension CacheStore {
  fileprivate var statistics: JSON {
    let pages = pool.statistics
    let prefixes = self.prefixes?.statistics
    let (asked, found) = (prefixes?.tokensAsked ?? 0, prefixes?.tokensFound ?? 0)
    return [
      "page_tokens": .size(PageLayout.positionsPerPage), "page_bytes": .size(pool.layout.byteCount),
      "used": .size(pages.used), "shared": .size(pages.shared), "free": .size(pages.free),
      "prefix_pages": .size(prefixes?.pages ?? 0), "prefix_evicted": .size(prefixes?.pagesEvicted ?? 0),
      "tokens_asked": .size(asked), "tokens_found": .size(found),
      "hit_rate": .number(Double(found) / Double(max(asked, 1))),
    ]
  }
}

extension SchedulerStatistics {
  fileprivate var sessions: JSON {
    [
      "working": .size(working), "waiting": .size(waiting), "entered": .size(entered), "left": .size(left),
      "refused": .size(refused), "cancelled": .size(cancelled), "failed": .size(failed),
    ]
  }

  fileprivate var stepCounts: JSON {
    [
      "count": .size(steps), "mean_batch": .number(Double(sessionSteps) / Double(max(steps, 1))),
      "largest_batch": .size(largestBatch),
    ]
  }

  fileprivate var seconds: JSON {
    [
      "prompt": .number(promptSeconds), "mixed": .number(mixedSeconds), "generation": .number(generationSeconds),
      "waiting": .number(waitingSeconds),
    ]
  }
}
