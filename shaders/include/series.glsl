/*
 * series.glsl - the polynomials of math.glsl and activations.glsl, of type NUMBER: float or vec4.
 */

/* exp(r) = 1 + r + r^2 P(r) for |r| <= ln(2) / 2: this is P. */
NUMBER kiln_exp_tail(NUMBER r)
{
    NUMBER y = NUMBER(1.9875691500e-4);
    y = y * r + 1.3981999507e-3;
    y = y * r + 8.3334519073e-3;
    y = y * r + 4.1665795894e-2;
    y = y * r + 1.6666665459e-1;
    return y * r + 5.0000001201e-1;
}

/* x - n ln(2), the first product exact. */
NUMBER kiln_exp_rest(NUMBER x, NUMBER n)
{
    precise NUMBER r = x - n * 0.693359375;
    r += n * 2.12194440e-4;
    return r;
}

/* tanh for |x| < 0.625 */
NUMBER kiln_tanh_near(NUMBER x)
{
    const NUMBER z = x * x;
    NUMBER y = NUMBER(-5.70498872745e-3);
    y = y * z + 2.06390887954e-2;
    y = y * z - 5.37397155531e-2;
    y = y * z + 1.33314422036e-1;
    y = y * z - 3.33332819422e-1;
    return y * z * x + x;
}

/* The share of the normal distribution above z >= 0, divided by exp(-z^2 / 2) (Mills 1926). */
NUMBER kiln_mills(NUMBER z)
{
    const NUMBER t = 1.0 / (1.0 + 0.3 * z);
    NUMBER y = NUMBER(-2.062346041e-02);
    y = y * t + 1.124355718e-01;
    y = y * t - 2.282135040e-01;
    y = y * t + 1.917843968e-01;
    y = y * t - 7.942338288e-02;
    y = y * t + 9.615677595e-02;
    y = y * t + 7.838966697e-02;
    y = y * t + 1.102354228e-01;
    y = y * t + 1.195718125e-01;
    y = y * t + 1.196866930e-01;
    return y * t;
}
