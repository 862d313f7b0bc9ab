import DormouseKernels
import DormouseLayers
import DormouseSupport

/// The absorbed form: q~ = q_nope W_kvb[nope rows], score = q~ . c + q_rope . k_rope, out = (p . c) W_kvb[value rows]^T.
///
/// Three steps a round of tokens, each shared out over all threads: queries by head; attention by token, group of heads
/// and span of cached rows (flash decoding); joining the spans and the product with the value rows by head.
extension LatentAttention {
  /// Tokens of a round, and spans of a token, at most.
  static let roundSize = 16
  /// Tokens times spans of a round at most, which bounds its memory.
  static let slotCount = 128
  /// Rows of a span, as long as there are not too many spans.
  private static let usualSpan = 256
  /// A token's rows are cut into a multiple of this, so that few threads share them evenly; rounding rows up may leave
  /// fewer spans.
  private static let spanMultiple = 4
  /// Rows of a token that one thread is done with before others have begun.
  private static let mostUnsharedRows = 64
  /// Rows that the kernel scores at a time.
  private static let rowMultiple = 8
  /// Heads of a task at most: each row is decoded once for all of them, and what they need stays in the second cache.
  private static let mostHeadsPerTask = 32

  struct AbsorbedScratch {
    /// What all threads share.
    var shared = ScratchLayout()
    /// [roundSize, heads, rank + rope].
    let query: Int
    /// [slotCount, heads, rank + 2]: for each token, span and group of heads what `Kernels.attendLatent` leaves.
    let partial: Int
    /// What each thread has of its own.
    var own = ScratchLayout()
    /// What `Kernels.attendLatent` works in.
    let kernel: Int
    /// What `HeadExpansion` works in.
    let expansion: Int
    /// [roundSize, rank]: one head's latent outputs.
    let joined: Int
  }

  static func absorbedScratch(_ a: LatentAttentionConfiguration) throws(Failure) -> AbsorbedScratch {
    var shared = ScratchLayout()
    let query = try shared.words(roundSize, a.headCount, a.latentWidth)
    let partial = try shared.words(slotCount, a.headCount, a.kvLoraRank + 2)
    var own = ScratchLayout()
    let kernel = try own.words(
      Kernels.latentScratchCount(
        heads: min(a.headCount, mostHeadsPerTask), rank: a.kvLoraRank, rope: a.qkRopeHeadDimension))
    let expansion = try own.words(HeadExpansion.scratchCount(a, count: roundSize))
    let joined = try own.words(roundSize, a.kvLoraRank)
    return AbsorbedScratch(
      shared: shared, query: query, partial: partial, own: own, kernel: kernel, expansion: expansion,
      joined: joined)
  }

  /// How the cached rows that a token attends to are cut. Depends on nothing but their number, so that the result does
  /// not either.
  private struct Spans {
    let count: Int
    /// Rows of a span, but for the last.
    let length: Int

    init(_ token: AbsorbedTokens.Token) {
      let rows = token.range.count
      let usual = CheckedSize.ceilingQuotient(rows, usualSpan * spanMultiple) * spanMultiple
      let wanted = rows > mostUnsharedRows ? min(roundSize, usual) : 1
      let even = CheckedSize.ceilingQuotient(rows, wanted)
      length = CheckedSize.ceilingQuotient(even, rowMultiple) * rowMultiple
      count = CheckedSize.ceilingQuotient(rows, max(length, 1))
    }

    /// The part of a token's range that is span number `index`.
    func range(_ index: Int, of token: AbsorbedTokens.Token) -> Range<Int> {
      let start = token.range.lowerBound + index * length
      return start..<min(start + length, token.range.upperBound)
    }
  }

  /// Tokens that are computed at once.
  struct Round {
    /// Their rows in the scratch memory follow each other.
    let tokens: ArraySlice<AbsorbedTokens.Token>
    let firstRow: Int
    /// Spans of the token that has the most.
    let spans: Int
    /// Neighbouring spans of a token that are one task: its queries are turned once for all of them, and it reads ahead
    /// from one to the next. A task for each thread; each begins with rows that nobody has read ahead.
    let spansPerTask: Int
    let tasksPerGroup: Int
    let headsPerGroup: Int
    let groups: Int

    /// As many of the first of `tokens` as there is room for.
    init(_ tokens: ArraySlice<AbsorbedTokens.Token>, heads: Int, threads: Int) {
      var (count, most) = (0, 1)
      for token in tokens {
        let spans = max(most, Spans(token).count)
        guard count == 0 || (count + 1) * spans <= slotCount else { break }
        count += 1
        most = spans
      }
      self.tokens = tokens.prefix(count)
      spans = most
      firstRow = tokens.first?.row ?? 0
      let even32 = CheckedSize.ceilingQuotient(heads, CheckedSize.ceilingQuotient(heads, mostHeadsPerTask))
      headsPerGroup = min(heads, CheckedSize.ceilingQuotient(even32, 16) * 16)
      groups = CheckedSize.ceilingQuotient(heads, headsPerGroup)
      spansPerTask = max(1, count * groups * spans / threads)
      tasksPerGroup = CheckedSize.ceilingQuotient(spans, spansPerTask)
    }

    var taskCount: Int { tokens.count * groups * tasksPerGroup }

    /// The heads of a group.
    func heads(_ group: Int, of heads: Int) -> Range<Int> {
      group * headsPerGroup..<min((group + 1) * headsPerGroup, heads)
    }
  }

  /// Puts a segment's tokens among those that attend in this form.
  func appendAbsorbed(_ segment: ActiveSegment, _ rows: CacheRows, _ picked: Indexer?) {
    for (index, row) in segment.rows.enumerated() {
      let visible = configuration.visibleRange(at: segment.first + index)
      let positions = picked?.selection(visible: visible.count, row: row)
      absorbedTokens.append(
        AbsorbedTokens.Token(
          row: row, range: positions.map { 0..<$0.count } ?? visible, positions: positions?.baseAddress, cache: rows))
    }
  }

  /// From `own.query` to `own.attended`, for `absorbedTokens`.
  func attendAbsorbed() {
    var start = 0
    while start < absorbedTokens.tokens.count {
      let round = Round(
        absorbedTokens.run(from: start, count: Self.roundSize), heads: heads, threads: queue.pool.threadCount)
      start += round.tokens.count
      forEachHead { expansion, isLast, worker in absorbQueries(expansion, isLast, round, worker) }
      queue.pool.run(round.taskCount) { task, worker in attendSpans(task, round, worker) }
      forEachHead { expansion, isLast, worker in projectValues(expansion, isLast, round, worker) }
    }
  }

  /// Calls `body(a head's weights, whether its thread has none next, worker)`: neighbouring heads are a task, so that the
  /// weights of one can be read ahead while those of another are multiplied.
  private func forEachHead(_ body: (_ expansion: HeadExpansion, _ isLast: Bool, _ worker: Int) -> Void) {
    let size = max(1, heads / queue.pool.threadCount)
    queue.pool.run(CheckedSize.ceilingQuotient(heads, size)) { task, worker in
      let end = min((task + 1) * size, heads)
      for head in task * size..<end { body(expansion(head), head + 1 == end, worker) }
    }
  }

  /// A head's queries in latent space, and their rotated channels.
  private func absorbQueries(_ expansion: HeadExpansion, _ isLast: Bool, _ round: Round, _ worker: Int) {
    let source = own.query + expansion.head * keyWidth
    let target = own.shared + absorbed.query + expansion.head * latentWidth
    for index in 0..<round.tokens.count {
      let query = source + (round.firstRow + index) * heads * keyWidth
      positions.rotate(query + nope, round.firstRow + index)
      (target + index * heads * latentWidth + rank).update(from: query + nope, count: rope)
    }
    expansion.absorb(
      isLast: isLast, source + round.firstRow * heads * keyWidth, xStride: heads * keyWidth,
      count: round.tokens.count, into: target, yStride: heads * latentWidth,
      scratch: own.task(of: worker) + absorbed.expansion)
  }

  /// A group of heads of one token over neighbouring spans of rows, as many as the token has of them.
  private func attendSpans(_ task: Int, _ round: Round, _ worker: Int) {
    let group = round.heads(task % round.groups, of: heads)
    let (index, part) = (task / round.groups / round.tasksPerGroup, task / round.groups % round.tasksPerGroup)
    let token = round.tokens[round.tokens.startIndex + index]
    let spans = Spans(token)
    let numbers = (part * round.spansPerTask..<(part + 1) * round.spansPerTask).clamped(to: 0..<spans.count)
    guard let first = numbers.first, let last = numbers.last else { return }
    let range = spans.range(first, of: token).lowerBound..<spans.range(last, of: token).upperBound
    queue.kernels.attendLatent(
      query: own.shared + absorbed.query + (index * heads + group.lowerBound) * latentWidth, scale: scale,
      over: LatentSpans(rows: token.cache, range: range, length: spans.length, positions: token.positions),
      into: partials(index * round.spans + first, group), scratch: own.task(of: worker) + absorbed.kernel)
  }

  /// The results from a slot (token and span) on, for a group of heads.
  private func partials(_ slot: Int, _ group: Range<Int>) -> LatentPartials {
    let stride = heads * (rank + 2)
    let first = own.shared + absorbed.partial + slot * stride + group.lowerBound * (rank + 2)
    return LatentPartials(first, stride: stride, heads: group.count, rank: rank)
  }

  /// Joins a head's spans and multiplies by its value rows, for all tokens of the round.
  private func projectValues(_ expansion: HeadExpansion, _ isLast: Bool, _ round: Round, _ worker: Int) {
    let head = expansion.head
    let memory = own.task(of: worker)
    let joined = memory + absorbed.joined
    let group = round.heads(head / round.headsPerGroup, of: heads)
    for (index, token) in round.tokens.enumerated() {
      expansion.kernels.combineLatent(
        partials(index * round.spans, group), spans: Spans(token).count, head: head - group.lowerBound,
        into: joined + index * rank)
    }
    expansion.project(
      isLast: isLast, joined, count: round.tokens.count,
      into: own.attended + (round.firstRow * heads + head) * value, yStride: heads * value,
      scratch: memory + absorbed.expansion)
  }
}
