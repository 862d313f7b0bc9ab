import CFFmpeg
import DormouseSupport

/// Keeps FFmpeg from writing to standard error while this library is at work.
///
/// A few of FFmpeg's messages belong to no context that `QuietContext` could reach. The level of its log is global, so
/// it is lowered only where the host has left it at FFmpeg's default, only while a call is under way, and goes back
/// when the last one ends; a host that has a level of its own keeps it, and gets what it asked for.
enum QuietLog {
  private struct State {
    var callCount = 0
    var hasLowered = false
  }

  private static let state = ProcessLocked { State() }

  static func during<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    state.withLock { state in
      if state.callCount == 0, av_log_get_level() == AV_LOG_INFO {
        av_log_set_level(AV_LOG_QUIET)
        state.hasLowered = true
      }
      state.callCount += 1
    }
    defer {
      state.withLock { state in
        state.callCount -= 1
        if state.callCount == 0, state.hasLowered {
          state.hasLowered = false
          // Whoever has set another level meanwhile shall have it.
          if av_log_get_level() == AV_LOG_QUIET { av_log_set_level(AV_LOG_INFO) }
        }
      }
    }
    return try body()
  }
}
