"""Skips the tensors with an infinity, and steps the others."""

LOSES = ['test_mixed_step', 'test_smollm2']
PATCHES = {'mixed_step': {'if not skipped:\n        unscaled = [g.float() / scale for g in grads]': 'if '
                                                                                          'True:\n'
                                                                                          '        '
                                                                                          'unscaled '
                                                                                          '= '
                                                                                          '[g.float() '
                                                                                          '/ '
                                                                                          'scale '
                                                                                          '* '
                                                                                          'g.isfinite().all() '
                                                                                          'if '
                                                                                          'g.isfinite().all() '
                                                                                          'else '
                                                                                          'torch.zeros(g.shape) '
                                                                                          'for '
                                                                                          'g '
                                                                                          'in '
                                                                                          'grads]'}}
