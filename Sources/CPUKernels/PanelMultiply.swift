internal import CPlatform

/// `y[i, r - first] = sum over c of w[r, c] * x[i, c]` for rows of activations rounded to bytes.
///
/// Sums of a group's products are whole numbers; groups are added in float32 in their order. A row's result depends on
/// nothing but that row of x and w, so it is the same bits alone and in any batch.
@inline(never) func multiplyPanels(_ product: UnsafePointer<platform_panel_product>) {
  let p = product.pointee
  let job = PackedProduct(w: p.w, first: p.first, last: p.last, x: p.x, count: p.count, y: p.y, yStride: p.y_stride)
  if p.w.type == Int32(PLATFORM_PANELS_INT4) { job.run(Int4Panels.self) } else { job.run(Int8Panels.self) }
}

/// Rows `first..<last` of w times `count` rows of x.
struct PackedProduct {
  let w: platform_panels
  let first: Int
  let last: Int
  let x: platform_activations
  let count: Int
  let y: MutableFloats
  let yStride: Int

  /// Rows of a panel.
  @inline(__always) var panelRows: Int { 16 }

  @inline(__always) func run<F: PanelFormat>(_: F.Type) {
    guard let data = w.data else { return }
    var panel = first / panelRows
    #if ISA_AVX512
      if count == 1 { panel = runStreams(F.self, data, panel) }
    #endif
    while panel &* panelRows < last {
      let p = data + panel &* w.panel_stride
      var i = 0
      #if ISA_AVX512
        while i &+ 8 <= count {
          eight(F.self, p, panel, i)
          i &+= 8
        }
      #endif
      while i &+ 4 <= count {
        four(F.self, p, panel, i)
        i &+= 4
      }
      while i &+ 2 <= count {
        two(F.self, p, panel, i)
        i &+= 2
      }
      if i < count {
        one(F.self, p, panel, i)
      }
      panel &+= 1
    }
  }

  /// Where the activations of one row are.
  @inline(__always) func row(_ i: Int) -> ActivationRow {
    let i = x.indices == nil ? i : Int(x.indices[i])
    return ActivationRow(
      values: UnsafeRawPointer(x.values) + i &* x.groups &* 32, scales: x.scales + i &* x.groups,
      offsets: x.offsets + i &* x.groups)
  }

  @inline(__always) func one<F: PanelFormat>(_: F.Type, _ panel: UnsafeRawPointer, _ number: Int, _ i: Int) {
    let x0 = row(i)
    var total0 = sixteen(0)
    var elements = panelElements(panel, w.groups)
    for g in 0..<w.groups {
      if i == 0 { prefetch(elements, F.groupByteCount) }
      var sums0 = firstSums(x0.offsets[g])
      var pair = 0
      while pair < 4 {
        let (a, b) = F.steps(elements, pair)
        let column = g &* 32 &+ pair &* 8
        a.add(x0.four(column), to: &sums0)
        b.add(x0.four(column &+ 4), to: &sums0)
        pair &+= 1
      }
      let scales = panelScales(panel, g)
      total0 = fused(sixteenFloats(sums0), scales * sixteen(x0.scales[g]), total0)
      elements += F.groupByteCount
    }
    put(total0, panel, number, i)
  }

  @inline(__always) private func pair(_ i: Int) -> RowPair { RowPair(x0: row(i), x1: row(i &+ 1)) }

  @inline(__always) func two<F: PanelFormat>(_: F.Type, _ panel: UnsafeRawPointer, _ number: Int, _ i: Int) {
    var rows = pair(i)
    eachGroup(F.self, panel, isFirst: i == 0) { elements, g in
      rows.begin(g)
      var pair = 0
      while pair < 4 {
        let (a, b) = F.steps(elements, pair)
        rows.add(a, b, g &* 32 &+ pair &* 8)
        pair &+= 1
      }
      rows.end(g, panelScales(panel, g))
    }
    put(rows, panel, number, i)
  }

  @inline(__always) func four<F: PanelFormat>(_: F.Type, _ panel: UnsafeRawPointer, _ number: Int, _ i: Int) {
    var (rows0, rows2) = (pair(i), pair(i &+ 2))
    eachGroup(F.self, panel, isFirst: i == 0) { elements, g in
      rows0.begin(g)
      rows2.begin(g)
      var pair = 0
      while pair < 4 {
        let (a, b) = F.steps(elements, pair)
        let column = g &* 32 &+ pair &* 8
        rows0.add(a, b, column)
        rows2.add(a, b, column)
        pair &+= 1
      }
      let scales = panelScales(panel, g)
      rows0.end(g, scales)
      rows2.end(g, scales)
    }
    put(rows0, panel, number, i)
    put(rows2, panel, number, i &+ 2)
  }

  #if ISA_AVX512
    /// Sixteen sums, for which this set alone has the registers.
    @inline(__always) func eight<F: PanelFormat>(_: F.Type, _ panel: UnsafeRawPointer, _ number: Int, _ i: Int) {
      var (rows0, rows2, rows4, rows6) = (pair(i), pair(i &+ 2), pair(i &+ 4), pair(i &+ 6))
      eachGroup(F.self, panel, isFirst: i == 0) { elements, g in
        rows0.begin(g)
        rows2.begin(g)
        rows4.begin(g)
        rows6.begin(g)
        var pair = 0
        while pair < 4 {
          let (a, b) = F.steps(elements, pair)
          let column = g &* 32 &+ pair &* 8
          rows0.add(a, b, column)
          rows2.add(a, b, column)
          rows4.add(a, b, column)
          rows6.add(a, b, column)
          pair &+= 1
        }
        let scales = panelScales(panel, g)
        rows0.end(g, scales)
        rows2.end(g, scales)
        rows4.end(g, scales)
        rows6.end(g, scales)
      }
      put(rows0, panel, number, i)
      put(rows2, panel, number, i &+ 2)
      put(rows4, panel, number, i &+ 4)
      put(rows6, panel, number, i &+ 6)
    }
  #endif

  /// Runs `body` for every group of a panel: its elements, and its number.
  @inline(__always) func eachGroup<F: PanelFormat>(
    _: F.Type, _ panel: UnsafeRawPointer, isFirst: Bool, _ body: (UnsafeRawPointer, Int) -> Void
  ) {
    var elements = panelElements(panel, w.groups)
    for g in 0..<w.groups {
      if isFirst { prefetch(elements, F.groupByteCount) }
      body(elements, g)
      elements += F.groupByteCount
    }
  }

  @inline(__always) private func put(_ rows: RowPair, _ panel: UnsafeRawPointer, _ number: Int, _ i: Int) {
    put(rows.total0, panel, number, i)
    put(rows.total1, panel, number, i &+ 1)
  }

  /// Writes what the job's rows have of a panel's sums.
  @inline(__always) func put(_ total: SixteenFloats, _ panel: UnsafeRawPointer, _ number: Int, _ i: Int) {
    let row = number &* panelRows
    let values = total * panel.loadUnaligned(as: SixteenFloats.self)
    let out = y + (i &* yStride &+ row &- first)
    if row >= first, row &+ panelRows <= last {
      UnsafeMutableRawPointer(out).storeBytes(of: values, as: SixteenFloats.self)
    } else {
      for j in 0..<panelRows where row &+ j >= first && row &+ j < last { out[j] = values[j] }
    }
  }

  /// Panels follow each other in memory, so reading ahead warms the next one; an address past the end is harmless.
  @inline(__always) private func prefetch(_ elements: UnsafeRawPointer, _ byteCount: Int) {
    var line = 0
    while line < byteCount {
      platform_prefetch_second(elements + (8192 &+ line))
      line &+= 64
    }
  }
}

/// A row of activations in bytes: its groups' scales, and -128 times the sums of their bytes.
struct ActivationRow {
  let values: UnsafeRawPointer
  let scales: Floats
  let offsets: UnsafePointer<Int32>

  /// Four neighbouring bytes.
  @inline(__always) func four(_ column: Int) -> Int32 { values.loadUnaligned(fromByteOffset: column, as: Int32.self) }
}

/// Two rows of activations against one panel: the sums of the group at hand, and of all groups so far.
private struct RowPair {
  let x0: ActivationRow
  let x1: ActivationRow
  var sums0 = SixteenInts(repeating: 0)
  var sums1 = SixteenInts(repeating: 0)
  var total0 = sixteen(0)
  var total1 = sixteen(0)

  @inline(__always) init(x0: ActivationRow, x1: ActivationRow) {
    self.x0 = x0
    self.x1 = x1
  }

  @inline(__always) mutating func begin(_ g: Int) {
    sums0 = firstSums(x0.offsets[g])
    sums1 = firstSums(x1.offsets[g])
  }

  /// A pair of steps; `column` is the first one's.
  @inline(__always) mutating func add(_ a: StepWeights, _ b: StepWeights, _ column: Int) {
    a.add(x0.four(column), to: &sums0)
    a.add(x1.four(column), to: &sums1)
    b.add(x0.four(column &+ 4), to: &sums0)
    b.add(x1.four(column &+ 4), to: &sums1)
  }

  @inline(__always) mutating func end(_ g: Int, _ scales: SixteenFloats) {
    total0 = fused(sixteenFloats(sums0), scales * sixteen(x0.scales[g]), total0)
    total1 = fused(sixteenFloats(sums1), scales * sixteen(x1.scales[g]), total1)
  }
}
